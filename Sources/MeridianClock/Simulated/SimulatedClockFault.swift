/// What can happen to a simulated clock. All but `step` and `loseInstants` last until it is healed.
package enum SimulatedClockFault: Hashable, Sendable {
    /// The wall clock jumps without the error bound knowing; the next poll sets it right. A lie if the jump leads out
    /// of the bound.
    case step(byNanoseconds: Int64)
    /// The wall clock is off by this much more than it says, through every poll: a lie beyond about twice the bound.
    case lie(byNanoseconds: Int64)
    /// The wall clock and its bound stand still while time passes: soon a lie. Instants go on.
    case freeze
    /// The wall clock jumps to another place inside of its bound this often. Honest. Precondition: above zero.
    case strobe(everyNanoseconds: Int64)
    /// The time servers are out of reach: the bound grows on. Honest.
    case losePolls
    /// The bound is lost: the clock is unknown. Honest.
    case loseBound
    /// The machine slept, and its monotonic clock did not count that: it is behind by this much for good. The bounds of
    /// what was measured across it do not hold.
    case loseInstants(byNanoseconds: Int64)
}
