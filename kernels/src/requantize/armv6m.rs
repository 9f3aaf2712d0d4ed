//! Armv6-M and Armv7-M: what follows the sums of two pixels and four channels.

use crate::isa::armv6m::{Core, Sums};
use crate::{Clamp, Epilogue, Requantize};

/// The outputs of up to four channels from `channel` on; `outputs` start with that channel.
pub(crate) fn finish<C: Core>(
    epilogue: &Epilogue<'_>,
    channel: usize,
    mut sums: Sums,
    outputs: [&mut [i8]; 2],
) {
    let Some(results) = rescale_all::<C>(epilogue, channel, &mut sums) else {
        for (sums, output) in sums.iter().zip(outputs) {
            for (index, (to, &sum)) in output.iter_mut().zip(sums).enumerate() {
                *to = epilogue.apply(channel + index, sum);
            }
        }
        return;
    };
    for (output, mut four) in outputs.into_iter().zip(results) {
        if epilogue.clamp != Clamp::NONE {
            four = four.map(|value| epilogue.clamp.apply(value.into()));
        }
        // There is no second pixel when their number is odd.
        if let Some(to) = output.first_chunk_mut() {
            *to = four;
        }
    }
}

/// `None` where a channel is missing, or its shift beyond what the core does.
fn rescale_all<C: Core>(
    epilogue: &Epilogue<'_>,
    channel: usize,
    sums: &mut Sums,
) -> Option<[[i8; 4]; 2]> {
    let Requantize::FixedPoint { multiplier, shift } = epilogue.requantize else { return None };
    let bias = epilogue.bias.get(channel..)?.first_chunk()?;
    let multiplier = multiplier.get(channel..)?.first_chunk()?;
    let shift = shift.get(channel..)?.first_chunk::<4>()?;
    let is_tame = shift.iter().all(|shift| (-31..=-1).contains(shift));
    if !is_tame || !cfg!(feature = "tflite") {
        return None;
    }
    C::rescale(sums, bias, multiplier, shift, epilogue.zero_point.into());
    Some(sums.map(|[first, ..]| first.to_le_bytes().map(u8::cast_signed)))
}
