//! What a forecast leaves out, so that an ablation can tell what each part is worth through the very code of
//! a hub. A hub leaves nothing out.

use super::experts::{EXPERTS, names, prior_weights};
use crate::load_features::{COLUMNS, WIDTH};

/// Parts that are left out; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Names of experts whose weight is zero from the beginning on.
    pub experts: Vec<String>,
    /// Names of columns of `load_features` that the site's own regressions read as zero. What the fleet's
    /// model was fitted to is the business of who fitted it.
    pub columns: Vec<String>,
    /// All experts that are left have the same weight, and keep it.
    pub weighing: bool,
    /// The band stays as the experts say it.
    pub conformal: bool,
}

/// Names of the experts, in their order.
pub fn expert_names() -> [&'static str; EXPERTS] {
    names()
}

impl LeftOut {
    /// The weights before what the experts are worth is known, after so many issues.
    pub(super) fn prior_weights(&self, issues: u32) -> [f64; EXPERTS] {
        let usual = prior_weights(issues);
        if self.experts.is_empty() && !self.weighing {
            return usual;
        }
        let mut weights = if self.weighing { [1.0; EXPERTS] } else { usual };
        for (weight, name) in weights.iter_mut().zip(names()) {
            if self.experts.iter().any(|out| out == name) {
                *weight = 0.0;
            }
        }
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 { weights.map(|weight| weight / sum) } else { usual }
    }

    /// A row of features as the site's own regressions read it.
    pub(super) fn blanked(&self, row: &[f32]) -> [f32; WIDTH] {
        core::array::from_fn(|column| {
            let out = self.columns.iter().any(|out| out == COLUMNS[column]);
            if out { 0.0 } else { row.get(column).copied().unwrap_or(0.0) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adaptation::aggregation::Aggregation;

    #[test]
    fn what_is_left_out_weighs_nothing_whatever_was_learnt() {
        let all = LeftOut::default();
        assert_eq!(all.prior_weights(20), prior_weights(20));
        let left = LeftOut { experts: vec![names()[1].into(), names()[3].into()], ..LeftOut::default() };
        let alone = LeftOut { experts: names()[1..].iter().map(|name| (*name).into()).collect(), ..all };
        let said = vec![vec![[0.5, 1.0, 1.5]; EXPERTS]; 3];
        for (left_out, gone) in [(left, vec![1, 3]), (alone, (1..EXPERTS).collect())] {
            let prior = left_out.prior_weights(20);
            let mut aggregation = Aggregation::of(EXPERTS);
            for truth in [0.3, 0.9, 2.0] {
                aggregation.learn(&prior, &said, &[Some(truth); 3]);
            }
            assert!(aggregation.is_sound(EXPERTS));
            for quantile in 0..3 {
                let weights = aggregation.weights(&prior);
                assert!(gone.iter().all(|expert| weights[*expert][quantile] == 0.0), "{weights:?}");
                let sum: f64 = weights.iter().map(|weight| weight[quantile]).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{weights:?}");
            }
        }
        let uniform = LeftOut { weighing: true, ..LeftOut::default() }.prior_weights(20);
        assert!(uniform.iter().all(|weight| *weight == uniform[0]));
    }
}
