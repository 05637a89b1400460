//! How good an order is: the normalised discounted cumulative gain.

use std::collections::BTreeMap;

/// How many results count.
pub(crate) const DEPTH: usize = 10;

/// nDCG@10 of results in their order, from 0 to 1: a result of grade `g` gains `2^g - 1`, divided by the logarithm to the base of 2 of its rank
/// plus 1, and the sum is divided by that of the best order there is. A result that comes again gains nothing.
///
/// `grades` holds what was judged to be relevant, one at least with a grade above 0; the rest has the grade 0.
pub(crate) fn ndcg(results: &[String], grades: &BTreeMap<String, u32>) -> f64 {
    let found = results.iter().enumerate().map(|(place, result)| {
        let is_first = !results[..place].contains(result);
        grades.get(result).copied().filter(|_| is_first).unwrap_or(0)
    });
    let mut best: Vec<u32> = grades.values().copied().collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    discounted(found) / discounted(best.into_iter())
}

fn discounted(grades: impl Iterator<Item = u32>) -> f64 {
    grades
        .take(DEPTH)
        .zip(1_u32..)
        .map(|(grade, rank)| (f64::from(grade).exp2() - 1.0) / (f64::from(rank) + 1.0).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(results: &[&str], grades: &[(&str, u32)]) -> f64 {
        let results: Vec<String> = results.iter().map(|id| (*id).to_owned()).collect();
        let grades = grades.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect();
        ndcg(&results, &grades)
    }

    #[test]
    fn the_best_order_has_1_and_none_has_more() {
        let grades = [("a", 2), ("b", 1), ("c", 1)];
        assert_eq!(of(&["a", "b", "c"], &grades), 1.0);
        assert_eq!(of(&["a", "c", "b", "x"], &grades), 1.0);
        assert_eq!(of(&["a", "a", "a", "b", "c"], &[("a", 2)]), 1.0);
        assert_eq!(of(&["x", "y"], &grades), 0.0);
        assert_eq!(of(&[], &grades), 0.0);
    }

    #[test]
    fn what_comes_later_gains_less() {
        // (1 / log2(2) + 3 / log2(3)) / (3 / log2(2) + 1 / log2(3))
        let turned = of(&["b", "a"], &[("a", 2), ("b", 1)]);
        let third = 1.0 / 3f64.log2();
        assert!((turned - (1.0 + 3.0 * third) / (3.0 + third)).abs() < 1e-12, "{turned}");
        // The second place gains what the first does, divided by log2(3).
        assert!((of(&["x", "a"], &[("a", 1)]) - third).abs() < 1e-12);
    }

    #[test]
    fn only_the_first_ten_count() {
        let mut results = vec!["x"; 9];
        results.push("a");
        assert!((of(&results, &[("a", 1)]) - 1.0 / 11f64.log2()).abs() < 1e-12);
        results.insert(0, "x");
        assert_eq!(of(&results, &[("a", 1)]), 0.0);
        let many: Vec<String> = (0..12).map(|number| format!("{number}")).collect();
        let grades: Vec<(&str, u32)> = many.iter().map(|id| (id.as_str(), 1)).collect();
        let ten: Vec<&str> = many.iter().take(10).map(String::as_str).collect();
        assert_eq!(of(&ten, &grades), 1.0);
    }
}
