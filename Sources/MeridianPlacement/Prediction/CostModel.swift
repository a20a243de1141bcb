/// What the engine's own work costs beside distance and clocks: the constants of the prediction, all in one place.
///
/// They are medians of `bench-planner` on the machine that docs/PLANNER.md names: two shared cores, SQLite files on a
/// local disk with `synchronous=FULL`, links in one process. On another machine run it again: it prints where the model
/// is off. They are small beside any distance between regions, so a prediction over regions hardly depends on them; one
/// inside of a region does.
package struct CostModel: Hashable, Sendable {
    /// From the client's call to the gateway's step and back. Strong reads at home take this and nothing else.
    package var callNanoseconds: Int64 = 130_000
    /// One log transaction with its fsync, and the hops between threads around it. Writes where nothing is far and
    /// clocks are exact (`laptop3`) take 0.58 ms, a call included. `bench-throughput` has 0.36 to 0.42 for both.
    package var logWriteNanoseconds: Int64 = 450_000
    /// A message taken from a delayed link by its receiver: the link's thread and the node's wake one after the other.
    /// Strong reads from elsewhere take 0.1 to 0.2 ms more than the round trip and a call, so half of that each way.
    package var hopNanoseconds: Int64 = 80_000
    /// How late a thread wakes that slept until a commit's timestamp is past. Writes to a lonely node (`laptop`) take
    /// 0.3 ms more than 2ε, a call included; so do those of the sweep of ε in `bench-latency`.
    package var wakeNanoseconds: Int64 = 180_000

    package init() {}
}
