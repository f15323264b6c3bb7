//! What `/api/status` says, as far as tests ask: the ledger of promise 4 and its two identities.

use serde_json::Value;

/// One answer of the status page.
#[derive(Clone, Debug, PartialEq)]
pub struct Status(pub Value);

impl Status {
    /// A counter of the ledger: `received`, `counted`, `duplicate`, `dead_lettered` or `pending`.
    ///
    /// # Panics
    /// When status has no such number.
    pub fn ledger(&self, name: &str) -> u64 {
        number(&self.0["ledger"], name)
    }

    /// Readings rejected for `reason`; none when the reason has not occurred.
    pub fn rejected(&self, reason: &str) -> u64 {
        self.0["ledger"]["rejected"][reason].as_u64().unwrap_or(0)
    }

    /// Readings rejected, whatever the reason.
    pub fn rejected_in_all(&self) -> u64 {
        sum(&self.0["ledger"]["rejected"])
    }

    /// A counter of the output `name`.
    ///
    /// # Panics
    /// When status has no such number.
    pub fn output(&self, name: &str, counter: &str) -> u64 {
        number(&self.0["outputs"][name], counter)
    }

    /// The names of all outputs.
    pub fn outputs(&self) -> Vec<&str> {
        self.0["outputs"].as_object().map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Whether every source has its broker, or listens.
    pub fn is_connected(&self) -> bool {
        let sources = self.0["sources"].as_object();
        sources.is_some_and(|all| all.values().all(|source| source["connected"] != Value::Bool(false)))
    }

    /// `ok` or `degraded`.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    /// What is wrong, as one text.
    pub fn problems(&self) -> String {
        self.0["problems"].to_string()
    }

    /// Both identities of promise 4.
    ///
    /// # Errors
    /// The one that does not hold, with its figures.
    pub fn balance(&self) -> Result<(), String> {
        let terms = ["counted", "duplicate", "dead_lettered", "pending"].map(|name| self.ledger(name));
        if self.ledger("received") != terms.iter().sum::<u64>() + self.rejected_in_all() {
            return Err(format!("the ledger does not balance: {}", self.0["ledger"]));
        }
        for name in self.outputs() {
            let terms = ["delivered", "queued", "merged", "superseded", "refused"]
                .map(|term| self.output(name, term));
            let dropped = sum(&self.0["outputs"][name]["dropped"]);
            if self.output(name, "made") != terms.iter().sum::<u64>() + dropped {
                return Err(format!("output {name} does not balance: {}", self.0["outputs"][name]));
            }
        }
        Ok(())
    }
}

fn number(place: &Value, name: &str) -> u64 {
    place[name].as_u64().unwrap_or_else(|| panic!("status has no number `{name}`: {place}"))
}

fn sum(reasons: &Value) -> u64 {
    reasons.as_object().map_or(0, |all| all.values().filter_map(Value::as_u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn balances() {
        let status = |received: u64, made: u64| {
            Status(json!({
                "ledger": {"received": received, "counted": 5, "duplicate": 1, "rejected": {"range": 2, "future": 1},
                           "dead_lettered": 1, "pending": 3},
                "outputs": {"out": {"made": made, "delivered": 2, "queued": 1, "merged": 0, "superseded": 1, "refused": 0,
                                    "dropped": {"full": 1}}},
            }))
        };
        assert_eq!(status(13, 5).balance(), Ok(()));
        assert!(status(12, 5).balance().unwrap_err().contains("ledger"));
        assert!(status(13, 6).balance().unwrap_err().contains("output out"));
    }
}
