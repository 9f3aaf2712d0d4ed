//! The order of classes by score: larger first, equal ones in class order.

/// Whether class `a` comes before class `b`.
pub(crate) fn before<T: PartialOrd>(scores: &[T], a: usize, b: usize) -> bool {
    scores[a] > scores[b] || (scores[a] == scores[b] && a < b)
}

/// The first class; 0 when there is none.
pub(crate) fn best<T: PartialOrd>(scores: &[T]) -> usize {
    (1..scores.len()).fold(0, |best, other| if before(scores, other, best) { other } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_class_wins() {
        assert_eq!(best(&[1, 3, 3, 2]), 1);
        assert!(before(&[5, 5], 0, 1) && !before(&[5, 5], 1, 0));
        assert_eq!(best(&[0.5, -1.0, 0.75]), 2);
    }
}
