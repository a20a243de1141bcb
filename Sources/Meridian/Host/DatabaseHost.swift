import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What the API needs of the world that it runs in: nodes to talk to, a clock for its deadlines, pauses and
/// randomness.
///
/// `EmbeddedCluster` gives it real ones, and the simulator (`MeridianSimulation`) virtual time and a seed. Nothing in
/// the API reads a clock, sleeps or draws a number past its host, so that everything above can be run again exactly.
package protocol DatabaseHost: AnyObject, Sendable {
    var topology: Topology { get }
    var tables: TableCache { get }
    /// Makes and checks the cluster's causal tokens.
    var seal: TokenSeal { get }
    /// What the laws ask of rows that are at home under them.
    var rules: JurisdictionRules { get }
    /// How far the copies of active-active tables have come.
    var progress: ConvergenceProgress { get }
    /// Notes what the API itself carries from one jurisdiction to another, past the frames between nodes.
    func noteEgress(_ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID)

    /// Monotonic time, for deadlines and durations.
    var now: Instant { get }
    func pause(for duration: Duration) async
    func randomNumber() -> UInt64

    /// Asks a range through a node of a region. Ends within `patience`.
    /// - Parameter client: where whoever asks is, by whose law he is judged.
    /// - Throws: `.unavailable` when no node of the region runs, `.shutDown`.
    func call(
        _ range: RangeID, _ body: GatewayCall.Body, from region: Region, for client: Region, patience: Duration,
        mayBeRepeated: Bool
    ) async throws -> GatewayAnswer.Body

    /// The latest that a running node of this region says it can be; `nil` when no clock of theirs is usable, or
    /// those that are have been outvoted by the other nodes' clocks.
    func latestTimestamp(in region: Region) -> Timestamp?

    /// The earliest that such a node says it can be.
    func earliestTimestamp(in region: Region) -> Timestamp?

    /// From a client in one region to a node of another and back.
    func clientRoundTrip(from origin: Region, to gateway: Region) -> Duration
}

extension DatabaseHost {
    /// As far as the topology says. Inside of a region a client is beside its gateway.
    package func clientRoundTrip(from origin: Region, to gateway: Region) -> Duration {
        origin == gateway
            ? .zero : .nanoseconds(topology.matrix.roundTripNanoseconds(from: origin, to: gateway))
    }
    package var rules: JurisdictionRules { .none }
    package func noteEgress(
        _ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID
    ) {}

    /// For whoever asks in the region of his gateway.
    package func call(
        _ range: RangeID, _ body: GatewayCall.Body, from region: Region, patience: Duration, mayBeRepeated: Bool
    ) async throws -> GatewayAnswer.Body {
        try await call(
            range, body, from: region, for: region, patience: patience, mayBeRepeated: mayBeRepeated)
    }

    /// The instant at which an operation that begins now must have ended.
    func deadline(after duration: Duration) -> Instant { now.advanced(byNanoseconds: duration.nanoseconds) }

    func newRequestID() -> RequestID { RequestID(high: randomNumber(), low: randomNumber()) }
}
