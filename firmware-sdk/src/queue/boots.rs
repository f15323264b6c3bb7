//! The starts whose readings wait: this one, and those before it that storage brought back.

use heapless::Vec;

/// Earlier starts whose readings are kept; the gateway remembers four in all (docs/wire.md).
pub(crate) const PAST_MAX: usize = 4;

/// One start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    pub(crate) boot: u32,
    /// What has to be added to the uptime of now for an uptime of that start, in milliseconds. Its clock went on at least as
    /// far as the last image says, and then stood still at most until now: so readings never come out too early.
    pub(crate) ahead_ms: u64,
    /// Its readings that were given up.
    pub(crate) dropped: u32,
    /// How many of them an acknowledged frame has told.
    pub(crate) told: u32,
}

pub(crate) struct Boots {
    pub(crate) current: Boot,
    /// The oldest first.
    pub(crate) past: Vec<Boot, PAST_MAX>,
}

impl Boots {
    pub(crate) const fn new(boot: u32) -> Boots {
        Boots { current: Boot { boot, ahead_ms: 0, dropped: 0, told: 0 }, past: Vec::new() }
    }

    pub(crate) fn of(&self, boot: u32) -> &Boot {
        self.past.iter().find(|past| past.boot == boot).unwrap_or(&self.current)
    }

    /// The current one where it is not known: what is given up has to be told by somebody.
    pub(crate) fn of_mut(&mut self, boot: u32) -> &mut Boot {
        match self.past.iter_mut().find(|past| past.boot == boot) {
            Some(past) => past,
            None => &mut self.current,
        }
    }

    /// Forgets those of which nothing waits. What they had no frame left to tell, the next one tells.
    pub(crate) fn tidy(&mut self, waits: impl Fn(u32) -> bool) {
        while let Some(at) = self.past.iter().position(|past| !waits(past.boot)) {
            let gone = self.past.remove(at);
            let untold = gone.dropped.saturating_sub(gone.told);
            let next = self.past.get_mut(at).unwrap_or(&mut self.current);
            next.dropped = next.dropped.saturating_add(untold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_told_is_told_by_the_next() {
        let mut boots = Boots::new(3);
        for (boot, dropped, told) in [(1, 5, 2), (2, 4, 4)] {
            boots.past.push(Boot { boot, ahead_ms: 0, dropped, told }).unwrap();
        }
        boots.tidy(|boot| boot == 2);
        assert_eq!((boots.past.len(), boots.of(2).dropped, boots.current.dropped), (1, 7, 0));
        boots.tidy(|_| false);
        assert_eq!((boots.past.len(), boots.current.dropped), (0, 3));
    }
}
