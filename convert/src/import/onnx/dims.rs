//! What operators make of a shape, be it of a constant or of a layer's output with the batch.

use super::OnnxError;
use super::constant::elements;
use super::site::Site;

/// Another shape for the same values in the same order; `None` for operators that do something else.
pub(super) fn reshaped(site: &Site<'_>, dims: &[usize]) -> Result<Option<Vec<usize>>, OnnxError> {
    let target = match site.op() {
        "Reshape" => reshape(site, dims)?,
        "Flatten" => {
            let axis = axis(site, site.int("axis", 1), dims.len() + 1)?;
            vec![product(site, &dims[..axis])?, product(site, &dims[axis..])?]
        }
        "Squeeze" => match site.ints(1, "axes")? {
            Some(list) => {
                let axes = axes(site, &list, dims.len())?;
                if axes.iter().any(|&axis| dims[axis] != 1) {
                    return Err(site.usage(format!("axes {list:?} of {dims:?} are not all 1")));
                }
                let kept = dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
                kept.map(|(_, &dim)| dim).collect()
            }
            None => dims.iter().copied().filter(|&dim| dim != 1).collect(),
        },
        "Unsqueeze" => {
            let axes = site.ints(1, "axes")?.ok_or_else(|| site.usage("lacks `axes`"))?;
            let rank = dims.len() + axes.len();
            let axes = self::axes(site, &axes, rank)?;
            let mut rest = dims.iter().copied();
            let dim = |axis| if axes.contains(&axis) { Some(1) } else { rest.next() };
            (0..rank).map_while(dim).collect()
        }
        _ => return Ok(None),
    };
    Ok(Some(target))
}

fn reshape(site: &Site<'_>, dims: &[usize]) -> Result<Vec<usize>, OnnxError> {
    let target = site.ints(1, "shape")?.ok_or_else(|| site.usage("lacks a shape"))?;
    let odd = || site.usage(format!("{dims:?} cannot be reshaped to {target:?}"));
    let zero_copies = site.int("allowzero", 0) == 0;
    let known = |(axis, &dim): (usize, &i64)| match dim {
        -1 => Some(1),
        0 if zero_copies => dims.get(axis).copied(),
        dim => usize::try_from(dim).ok(),
    };
    let mut result: Vec<usize> =
        target.iter().enumerate().map(known).collect::<Option<_>>().ok_or_else(odd)?;
    let all = product(site, dims)?;
    let known = product(site, &result)?;
    let open: Vec<usize> = (0..target.len()).filter(|&axis| target[axis] == -1).collect();
    match (&open[..], all.checked_rem(known)) {
        ([], _) if known == all => {}
        (&[open], Some(0)) => result[open] = all / known,
        _ => return Err(odd()),
    }
    Ok(result)
}

/// The order of the axes that `Transpose` makes.
pub(super) fn permutation(site: &Site<'_>, rank: usize) -> Result<Vec<usize>, OnnxError> {
    let Some(attribute) = site.attribute("perm") else { return Ok((0..rank).rev().collect()) };
    let order = axes(site, &attribute.ints, rank)?;
    if order.len() != rank {
        return Err(site.usage(format!("`perm` must name {rank} axes")));
    }
    Ok(order)
}

/// Part of an axis: `count` places from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Part {
    pub(super) const fn all(dim: usize) -> Self {
        Self { start: 0, step: 1, count: dim }
    }
}

/// What `Slice` leaves of every axis.
pub(super) fn parts(site: &Site<'_>, dims: &[usize]) -> Result<Vec<Part>, OnnxError> {
    let list =
        |index, name| site.ints(index, name)?.ok_or_else(|| site.usage(format!("lacks `{name}`")));
    let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
    let axes = match site.ints(3, "axes")? {
        Some(list) => axes(site, &list, dims.len())?,
        None => (0..starts.len()).collect(),
    };
    let steps = site.ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let len = starts.len();
    if [ends.len(), axes.len(), steps.len()] != [len; 3] || len > dims.len() || steps.contains(&0) {
        return Err(site.usage("`starts`, `ends`, `axes` and `steps` do not fit together"));
    }
    let mut parts: Vec<Part> = dims.iter().map(|&dim| Part::all(dim)).collect();
    for (index, &axis) in axes.iter().enumerate() {
        parts[axis] = part(dims[axis], starts[index], ends[index], steps[index]);
    }
    Ok(parts)
}

fn part(dim: usize, start: i64, end: i64, step: i64) -> Part {
    let len = i64::try_from(dim).unwrap_or(i64::MAX);
    let from_end = |place: i64| if place < 0 { place.saturating_add(len) } else { place };
    // Backwards the first place is at most the last one, and the end may lie before the first.
    let (start, end) = if step > 0 {
        (from_end(start).clamp(0, len), from_end(end).clamp(0, len))
    } else {
        (from_end(start).min(len - 1).max(-1), from_end(end).min(len - 1).max(-1))
    };
    let distance = if step > 0 { end - start } else { start - end };
    let count = usize::try_from(distance).unwrap_or(0).div_ceil(places(step));
    Part { start: usize::try_from(start).unwrap_or(0), step, count }
}

/// The size of a step.
pub(super) fn places(step: i64) -> usize {
    usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX)
}

/// Different axes, counted from the front.
pub(super) fn axes(site: &Site<'_>, list: &[i64], rank: usize) -> Result<Vec<usize>, OnnxError> {
    let axes = list.iter().map(|&axis| self::axis(site, axis, rank));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(site.usage(format!("names an axis twice: {list:?}")));
    }
    Ok(axes)
}

/// An axis below `rank`, counted from the front.
pub(super) fn axis(site: &Site<'_>, axis: i64, rank: usize) -> Result<usize, OnnxError> {
    let len = i64::try_from(rank).unwrap_or(i64::MAX);
    let place = if axis < 0 { axis.saturating_add(len) } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|&place| place < rank)
        .ok_or_else(|| site.usage(format!("axis {axis} of {rank}")))
}

fn product(site: &Site<'_>, dims: &[usize]) -> Result<usize, OnnxError> {
    elements(dims).ok_or_else(|| site.usage(format!("shape {dims:?} is too large")))
}
