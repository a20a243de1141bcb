import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// What clients were told about their writes. Every write makes a row of its own, so an acknowledged commit is there
/// if and only if its row is.
final class LossAccount: Sendable {
    struct Acknowledged: Sendable {
        var id: Int
        var client: Region
        var begun: ContinuousClock.Instant
        var ended: ContinuousClock.Instant
        /// The commit's own time.
        var timestamp: Timestamp
    }

    private struct State {
        var nextID = 0
        var acknowledged: [Acknowledged] = []
        var failures: [(client: Region, begun: ContinuousClock.Instant)] = []
    }

    private let state = Locked(State())

    func newID() -> Int {
        state.with { state in
            state.nextID += 1
            return state.nextID
        }
    }

    func acknowledge(_ write: Acknowledged) { state.with { $0.acknowledged.append(write) } }
    func fail(_ client: Region, begun: ContinuousClock.Instant) { state.with { $0.failures.append((client, begun)) } }

    var acknowledged: [Acknowledged] { state.with { $0.acknowledged } }

    /// When a client was first told of the success of a write that it had begun at or after a moment.
    func firstSuccess(of client: Region, begunAtOrAfter moment: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        state.with { state in
            state.acknowledged.filter { $0.client == client && $0.begun >= moment }.map(\.ended).min()
        }
    }

    func failures(of client: Region, begunAtOrAfter moment: ContinuousClock.Instant) -> Int {
        state.with { $0.failures.count { $0.client == client && $0.begun >= moment } }
    }

    /// The longest time in which nobody was told of a success.
    func longestGap(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) -> Duration {
        let moments = acknowledged.map(\.ended).filter { $0 > start && $0 < end }.sorted()
        return zip([start] + moments, moments + [end]).map { $1 - $0 }.max() ?? .zero
    }
}

/// A client that writes at a steady rate, however long its earlier writes take, until it is told to stop.
final class WritingClient: Sendable {
    private let database: Database
    private let table: Table<FailoverItem>
    private let account: LossAccount
    private let ratePerSecond: Double
    private let isStopped = Locked(false)

    init(
        _ database: Database, _ table: Table<FailoverItem>, _ account: LossAccount, ratePerSecond: Double
    ) {
        (self.database, self.table, self.account, self.ratePerSecond) = (database, table, account, ratePerSecond)
    }

    func stop() { isStopped.with { $0 = true } }

    func run() async {
        let start = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            var number = 0
            while !isStopped.with({ $0 }) {
                let wait = start + .seconds(Double(number) / ratePerSecond) - ContinuousClock.now
                if wait > .zero { await Pause.sleep(for: wait) }
                group.addTask { await self.write() }
                number += 1
            }
        }
    }

    private func write() async {
        let id = account.newID()
        let begun = ContinuousClock.now
        do {
            let receipt = try await database.write(deadline: .seconds(20)) {
                try await $0.insert(FailoverItem(id: id, data: "x"), into: table)
            }
            account.acknowledge(
                .init(
                    id: id, client: database.region, begun: begun, ended: .now, timestamp: receipt.timestamp))
        } catch {
            account.fail(database.region, begun: begun)
        }
    }
}
