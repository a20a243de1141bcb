/// What the answer to a write of rows in several ranges waits for. A write of one range, whichever this says, is
/// answered when its range has committed it.
public enum CommitAcknowledgement: Hashable, Sendable {
    /// All ranges have prepared: the outcome follows from what lies in their logs. One round trip to the quorums where
    /// all ranges survive the same; otherwise as `decided`.
    ///
    /// HAZARD: while it follows, and no log says it, the loss of one home region together with its disks can undo the
    /// parts elsewhere. docs/CONSISTENCY.md says how long that is.
    case prepared
    /// The log of the range that survives most says that the transaction has committed: a second round trip. From then
    /// on the loss of another region takes no more than its own rows, as their table's mode says.
    case decided
}
