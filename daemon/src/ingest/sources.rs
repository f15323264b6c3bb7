//! The numbers of sources, which stay when the configuration puts them in another order.
//!
//! What a source has handed over waits in the intake, or for a disk that refuses, while another plan comes in force. So a
//! source is known by a number that its name is given once, and by its place in the plan only where a plan is asked.

/// All sources that there have been since the start. Whoever follows the same plans gives the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// By number.
    names: Vec<String>,
    /// By number: the place in the plan, for those that it has.
    places: Vec<Option<u16>>,
}

impl Sources {
    /// Those of the first plan: number and place are the same.
    pub fn new(plan: &[String]) -> Sources {
        let mut sources = Sources::default();
        sources.follow(plan);
        sources
    }

    /// Another plan is in force.
    pub fn follow(&mut self, plan: &[String]) {
        for name in plan {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let place = |name| plan.iter().position(|known| known == name).and_then(|at| u16::try_from(at).ok());
        self.places = self.names.iter().map(place).collect();
    }

    /// The number of a source.
    pub fn number(&self, name: &str) -> Option<u16> {
        self.names.iter().position(|known| known == name).and_then(|at| u16::try_from(at).ok())
    }

    /// Its place in the plan; `None` where the plan does not have it any more.
    pub fn place(&self, number: u16) -> Option<u16> {
        self.places.get(usize::from(number)).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_with_its_name() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut sources = Sources::new(&names("a b"));
        let check = |sources: &Sources, name, number, place: Option<u16>| {
            assert_eq!(sources.number(name), Some(number), "{name}");
            assert_eq!(sources.place(number), place, "{name}");
        };
        sources.follow(&names("c b"));
        check(&sources, "a", 0, None);
        check(&sources, "b", 1, Some(1));
        check(&sources, "c", 2, Some(0));
        sources.follow(&names("b a"));
        check(&sources, "a", 0, Some(1));
        check(&sources, "b", 1, Some(0));
        check(&sources, "c", 2, None);
        assert_eq!((sources.number("d"), sources.place(3)), (None, None));
    }
}
