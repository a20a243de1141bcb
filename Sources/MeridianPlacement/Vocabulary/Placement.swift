/// Whether copies of a row may leave the jurisdiction of its home region (DESIGN §8).
public enum Placement: Hashable, Sendable {
    /// Copies may stand wherever the goal or the mode wants them.
    case unrestricted
    /// Every copy, witness and log entry stays in the jurisdiction of the row's home region.
    case restricted
}
