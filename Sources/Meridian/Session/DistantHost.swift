import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The cluster as a client sees it whose gateway is in another region: every call takes the way there and back.
///
/// Clocks are asked without the way: a client is taken to have one of its own that is as good as its gateway's.
final class DistantHost: DatabaseHost {
    private let base: any DatabaseHost
    private let roundTrip: Duration

    init(_ base: any DatabaseHost, roundTrip: Duration) {
        self.base = base
        self.roundTrip = roundTrip
    }

    var topology: Topology { base.topology }
    var tables: TableCache { base.tables }
    var seal: TokenSeal { base.seal }
    var rules: JurisdictionRules { base.rules }
    var progress: ConvergenceProgress { base.progress }
    var now: Instant { base.now }
    func pause(for duration: Duration) async { await base.pause(for: duration) }
    func randomNumber() -> UInt64 { base.randomNumber() }
    func latestTimestamp(in region: Region) -> Timestamp? { base.latestTimestamp(in: region) }
    func earliestTimestamp(in region: Region) -> Timestamp? { base.earliestTimestamp(in: region) }

    func clientRoundTrip(from origin: Region, to gateway: Region) -> Duration {
        base.clientRoundTrip(from: origin, to: gateway)
    }

    func noteEgress(
        _ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID
    ) {
        base.noteEgress(count, over: channel, on: route, of: range)
    }

    func call(
        _ range: RangeID, _ body: GatewayCall.Body, from region: Region, for client: Region, patience: Duration,
        mayBeRepeated: Bool
    ) async throws -> GatewayAnswer.Body {
        guard patience > roundTrip else {
            await base.pause(for: max(.zero, patience))
            throw MeridianError(
                .deadlineExceeded,
                "region \(region) is \(roundTrip) away, there and back, and only \(patience) are left; allow more time",
                retry: .immediately)
        }
        await base.pause(for: roundTrip / 2)
        let answer: Result<GatewayAnswer.Body, any Error>
        do {
            answer = .success(
                try await base.call(
                    range, body, from: region, for: client, patience: patience - roundTrip,
                    mayBeRepeated: mayBeRepeated))
        } catch {
            answer = .failure(error)
        }
        await base.pause(for: roundTrip / 2)
        return try answer.get()
    }
}
