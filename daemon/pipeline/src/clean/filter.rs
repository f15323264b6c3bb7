//! `where = "…"`: keeps the readings for which a condition holds.

use super::Sample;
use crate::expr::{Env, Expr};
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// A condition over `value`, the parts of the time and tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Where {
    /// Keeps where it holds.
    pub condition: Expr,
}

impl Where {
    pub(super) fn apply(&self, sample: &Sample<'_>) -> Result<f64, Reason> {
        let env = Env { zone: sample.zone, ..Env::new(sample.value, sample.time, sample.tags) };
        match self.condition.test(&env) {
            Ok(true) => Ok(sample.value),
            Ok(false) => Err(Reason::Where),
            Err(_) => Err(Reason::NoResult),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, testing::check};
    use super::*;
    use crate::expr::Names;

    #[test]
    fn what_holds_is_kept() {
        let keep = |text| {
            let condition = Expr::condition(text, &Names::reading(&["room"])).unwrap();
            Step::Where(Where { condition })
        };
        check(keep("value > 0 and value != 85"), &[(0, 1.0), (1, 85.0), (2, -1.0)], ". where where");
        check(keep("hour < 1"), &[(0, 1.0), (3_599, 1.0), (3_600, 1.0)], ". . where");
        check(keep("room == 'kitchen'"), &[(0, 1.0)], "no_result");
        check(keep("1 / value > 0"), &[(0, 1.0), (1, 0.0)], ". no_result");
    }
}
