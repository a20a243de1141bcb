/// What the engine's own work costs beside distance and clocks: the constants of the prediction, all in one place.
///
/// They are medians on the machine that docs/PLANNER.md names: two shared cores, SQLite files on a local disk with
/// `synchronous=FULL`. On another machine measure them again with `bench-planner`, which prints where the model misses,
/// and `bench-throughput`. They are small beside any distance between regions, so a prediction over regions hardly
/// depends on them; one inside of a region does.
package struct CostModel: Hashable, Sendable {
    /// One log transaction with its fsync, and the hops between threads around it. `bench-throughput`, `commits.1`:
    /// 0.36 to 0.42 ms a commit for three nodes without distance, of which three hops are 0.03 ms each.
    package var logWriteNanoseconds: Int64 = 400_000
    /// A message taken from a delayed link by its receiver's thread: the link's thread and the node's wake one after
    /// the other. `bench-reads`: strong reads at home, which cross no link, have a p50 of 0.18 ms; those over one link
    /// and back 0.2 ms above its round trip.
    package var hopNanoseconds: Int64 = 100_000
    /// From the client's call to the gateway's step and back. `bench-latency`, `read.strong.local` p50: 0.18 ms.
    package var callNanoseconds: Int64 = 180_000
    /// How late a thread wakes that slept until a commit's timestamp is past. `bench-latency`, sweep of ε: p50 is 0.4
    /// ms above 2ε for ε from 1 to 50 ms, a call included.
    package var wakeNanoseconds: Int64 = 200_000
    /// Between two shipments of an active-active table to another region.
    package var shippingIntervalNanoseconds: Int64 = 20_000_000
    /// How long an automatic failover waits before it takes a silent home region for lost, unless the plan says so.
    package var failoverDetectionNanoseconds: Int64 = 3_000_000_000

    package init() {}
}
