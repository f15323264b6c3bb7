//! Raw readings in some worlds: each that the gateway counted is in one raw event at each function, and no other is.

use super::setup::OUTPUTS;
use super::world::{START_US, World};
use serde_json::Value;
use std::collections::BTreeMap;

impl World {
    /// What functions hold of raw readings, their dead letters included. `counted`: what the ledger says.
    pub(super) fn check_raw(&mut self, counted: u64) -> Result<(), String> {
        if !self.setup.raw {
            return Ok(());
        }
        for (output, name) in OUTPUTS.into_iter().enumerate() {
            let times = self.sent_raw(output)?;
            let sent: u64 = times.iter().map(|times| u64::from(*times)).sum();
            self.judge_all(output, &times, 0)?;
            if sent != counted {
                return Err(format!(
                    "{sent} raw readings are at {name}, and the ledger says {counted} counted"
                ));
            }
        }
        Ok(())
    }

    /// How often each reading is in a raw event that an output holds.
    fn sent_raw(&self, output: usize) -> Result<Vec<u32>, String> {
        let letters = self.letters(OUTPUTS[output])?;
        let events = self.cloud[output].events.values().chain(&letters);
        let events = events.filter_map(|event| serde_json::from_slice::<Value>(event).ok());
        let events = events.filter(|event| event["type"] == "tidegate.raw.v1");
        // One that was taken and then refused is there twice.
        let events: BTreeMap<String, Value> =
            events.map(|mut event| (event["id"].to_string(), event["data"].take())).collect();
        let mut times = vec![0; self.oracle.readings.len()];
        for data in events.values() {
            for row in data["readings"].as_array().into_iter().flatten() {
                let number =
                    self.raw_reading(data, row).ok_or_else(|| format!("invented: {row} of {data}"))?;
                times[number] += 1;
            }
        }
        Ok(times)
    }

    /// Which reading a row is.
    fn raw_reading(&self, data: &Value, row: &Value) -> Option<usize> {
        let series = &data["series"][usize::try_from(row[0].as_u64()?).ok()?];
        let series = self.oracle.find(series["tags"]["device"].as_str()?, series["metric"].as_str()?)?;
        let time: jiff::Timestamp = row[1].as_str()?.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a digit")]
        let value = row[2].as_f64()? as u64;
        (row[3] == "counted").then_some(())?;
        self.oracle.known(series, time.as_microsecond() - START_US, value)
    }
}
