import MeridianCore
import MeridianReplica
import Synchronization
import Testing

@testable import Meridian

/// A client whose gateway stops on the way, and that asks the next one.
@Suite struct RepeatedCallTests {
    /// Nodes that stop, as often as it is told, and then one that commits.
    private final class StoppingHost: DatabaseHost {
        let progress = ConvergenceProgress()
        struct Asked {
            var body: GatewayCall.Body
            var mayBeRepeated: Bool
        }

        let topology: Topology
        let tables = TableCache()
        let seal = TokenSeal(key: TokenSeal.drawKey())
        let now = Instant.zero
        private let commitOutcome: MeridianError.CommitOutcome
        private let stops: Int
        let asked = Mutex<[Asked]>([])
        private let random = Mutex(SplitMix64(seed: 1))

        init(stops: Int, _ commitOutcome: MeridianError.CommitOutcome) throws {
            topology = try Topology.aws(["us-east-1"])
            self.stops = stops
            self.commitOutcome = commitOutcome
        }

        func pause(for duration: Duration) async {}
        func randomNumber() -> UInt64 { random.withLock { $0.next() } }
        func latestTimestamp(in region: Region) -> Timestamp? { nil }
        func earliestTimestamp(in region: Region) -> Timestamp? { nil }

        func call(
            _ range: RangeID, _ body: GatewayCall.Body, from region: Region, patience: Duration, mayBeRepeated: Bool
        ) async throws -> GatewayAnswer.Body {
            let count = asked.withLock { asked in
                asked.append(Asked(body: body, mayBeRepeated: mayBeRepeated))
                return asked.count
            }
            guard count <= stops else {
                let result = CommitResult(timestamp: Timestamp(nanoseconds: 9), term: Term(1))
                return .committed(result, routeNanoseconds: 0)
            }
            return .failed(MeridianError(.shutDown, "the node has stopped", commitOutcome: commitOutcome))
        }
    }

    private static let request = RequestID(high: 1, low: 2)
    private static let first = TransactionID(request: request, attempt: 3)

    /// Commits over two ranges, as one attempt.
    private func attempts(of host: StoppingHost) async throws -> [(id: TransactionID, mayBeRepeated: Bool)] {
        let parts = [RangeID(1), RangeID(2)].map { range in
            TransactionRequest.Part(
                range: range, preconditions: [], mutations: [Mutation(key: Key([UInt8(range.rawValue)]), value: [1])])
        }
        let transaction = TransactionRequest(
            id: Self.first, priority: TransactionPriority(begun: .zero, request: Self.request), first: RangeID(1),
            parts: parts)
        let database = Database(host: host, region: "us-east-1")
        _ = try? await database.commit(
            RangeID(1), .transaction(transaction), end: Instant(nanoseconds: 1_000_000_000))
        return host.asked.withLock { asked in
            asked.compactMap { asked in
                guard case .transaction(let transaction) = asked.body else { return nil }
                return (transaction.id, asked.mayBeRepeated)
            }
        }
    }

    /// What the first gateway has sent is still on its way. It could have asked the anchor to forbid the attempt, while
    /// the second one finds all of it prepared and answers the client (`CommitCoordinator`, found by `CommitModel`).
    @Test func noTwoGatewaysCoordinateOneAttempt() async throws {
        let attempts = try await attempts(of: StoppingHost(stops: 2, .unknown))
        #expect(attempts.map(\.id) == [Self.first])
    }

    @Test func anAttemptThatNobodyBeganIsBegunElsewhere() async throws {
        let attempts = try await attempts(of: StoppingHost(stops: 1, .notCommitted))
        #expect(attempts.map(\.id) == [Self.first, Self.first])
        #expect(attempts.map(\.mayBeRepeated) == [false, false])
    }
}
