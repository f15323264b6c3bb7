//! Derived metrics: readings made of others of the same message.

use super::Step;
use super::message::Origin;
use super::readings::Context;
use crate::clean;
use crate::decode::Candidate;
use crate::expr::Env;
use crate::plan::StreamPlan;
use crate::route::RoutePart;

impl Step<'_> {
    /// Makes the readings that the stream derives from those that were just counted, in the order of its steps, so that one can
    /// be made of another. Each is a part of its own in the entry: it is known only when the others are done. `origin` has no
    /// fingerprint any more.
    pub(super) fn derive(
        &mut self,
        origin: &Origin<'_>,
        part: &mut RoutePart,
        stream: &StreamPlan,
        context: &Context<'_>,
    ) {
        let context = &Context { overruled: None, mark: None, ..*context };
        if self.core.cleaned.is_empty() {
            return;
        }
        for step in &stream.clean {
            let clean::Step::Derive(derive) = &step.step else { continue };
            let Ok(time) = context.time else { return };
            let metric = |name: &str| {
                let of = |(series, _): &&(u32, f64)| self.core.state.series[*series as usize].metric == name;
                self.core.cleaned.iter().rev().find(of).map(|(_, value)| *value)
            };
            let env =
                Env { metrics: &metric, zone: &self.core.zone, ..Env::new(f64::NAN, time, context.tags) };
            // Without an input, or where it divides by zero, there is nothing to say.
            if let Ok(value) = derive.from.number(&env) {
                let reading = Candidate::derived(&derive.metric, value);
                self.readings(origin, part, std::iter::once(reading), context);
            }
        }
    }
}
