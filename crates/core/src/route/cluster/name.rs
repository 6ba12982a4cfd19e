//! How servers agree on the name of their cluster.

/// What two servers with different cluster names do; both ends come to the same end from their own side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Ours stays; the peer takes it over or has it already.
    Keep,
    /// We take over the peer's.
    Adopt,
    /// Both were configured, and differently.
    Conflict,
}

/// A configured name wins over a made-up (`dynamic`) one; of two made-up ones the greater.
pub(super) fn agree(ours: (&str, bool), theirs: (&str, bool)) -> Agreement {
    let ((our_name, our_dynamic), (their_name, their_dynamic)) = (ours, theirs);
    if their_name.is_empty() || their_name == our_name {
        return Agreement::Keep;
    }
    match (our_dynamic, their_dynamic) {
        (false, false) => Agreement::Conflict,
        (true, false) => Agreement::Adopt,
        (false, true) => Agreement::Keep,
        (true, true) if their_name > our_name => Agreement::Adopt,
        (true, true) => Agreement::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_beats_made_up_and_greater_beats_smaller() {
        assert_eq!(agree(("a", false), ("a", false)), Agreement::Keep);
        assert_eq!(agree(("a", false), ("b", false)), Agreement::Conflict);
        assert_eq!(agree(("a", true), ("b", false)), Agreement::Adopt);
        assert_eq!(agree(("b", true), ("a", true)), Agreement::Keep);
        assert_eq!(agree(("a", true), ("b", true)), Agreement::Adopt);
        assert_eq!(agree(("a", false), ("b", true)), Agreement::Keep);
        assert_eq!(agree(("a", false), ("", false)), Agreement::Keep, "peers that name none are welcome");
    }
}
