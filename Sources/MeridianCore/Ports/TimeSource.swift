/// The port to a node's clocks. Adapters: the system's clocks with a declared or the kernel's own error bound, and
/// the simulated clock (`MeridianClock`).
package protocol TimeSource: Sendable {
    /// Both clocks, read together. The instant never goes back.
    func now() -> Moment
}
