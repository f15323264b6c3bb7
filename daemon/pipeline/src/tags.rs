//! Tags under construction, in buffers that are used again and again.

use crate::limits::NAME_BYTES_MAX;

/// Tags from a payload are cut after so many characters (at most four bytes each).
const CHARS_MAX: usize = NAME_BYTES_MAX / 4;

/// Names and values of tags.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// The first `count` are in use; the others keep their allocations.
    pairs: Vec<(String, String)>,
    count: usize,
}

impl Tags {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a tag; only the beginning of a very long value.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if self.count == self.pairs.len() {
            self.pairs.push(Default::default());
        }
        let end = value.char_indices().nth(CHARS_MAX).map_or(value.len(), |(at, _)| at);
        let (its_name, its_value) = &mut self.pairs[self.count];
        its_name.clear();
        its_name.push_str(name);
        its_value.clear();
        its_value.push_str(&value[..end]);
        self.count += 1;
    }

    /// Adds a tag that is known to be short enough.
    pub(crate) fn push_whole(&mut self, name: &str, value: &str) {
        self.push(name, "");
        self.pairs[self.count - 1].1.push_str(value);
    }

    /// Adds tags that are known to be short enough.
    pub(crate) fn extend(&mut self, tags: &[(String, String)]) {
        tags.iter().for_each(|(name, value)| self.push_whole(name, value));
    }

    /// All of them, sorted by name.
    pub(crate) fn sorted(&mut self) -> &[(String, String)] {
        self.pairs[..self.count].sort_unstable();
        &self.pairs[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_again() {
        let mut tags = Tags::default();
        tags.push("room", &"é".repeat(100));
        tags.push("device", "d1");
        assert_eq!(tags.sorted()[0], ("device".into(), "d1".into()));
        assert_eq!(tags.sorted()[1].1, "é".repeat(64));
        tags.clear();
        assert_eq!(tags.sorted(), []);
        tags.extend(&[("path".into(), "x".repeat(200))]);
        assert_eq!(tags.sorted(), [("path".into(), "x".repeat(200))]);
    }
}
