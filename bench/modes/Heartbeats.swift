import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// Rows that the home region writes in turn, a write every 25 ms, with a version that counts up: what a read does not
/// show of what had been acknowledged when it began says how stale it is.
///
/// Staleness is the age, at the read's begin, of the oldest such acknowledgement. It is 0 for a read that shows all, so
/// a linearizable read has no other. It comes out too small by up to the 25 ms between two writes.
final class Heartbeats: Sendable {
    private struct Beat: Sendable {
        var version: Int
        var acknowledged: ContinuousClock.Instant
    }

    private let mode: Mode
    private let acknowledged = Locked([[Beat]](repeating: [], count: Mode.beats))

    static let interval = Duration.milliseconds(25)

    init(_ mode: Mode) { self.mode = mode }

    /// Writes until the task is cancelled. A row whose last write is still under way is passed over.
    func run(_ database: Database) async {
        let busy = Locked(Set<Int>())
        await withTaskGroup(of: Void.self) { group in
            var number = 0
            while !Task.isCancelled {
                let (row, version) = (number % Mode.beats, number / Mode.beats + 1)
                number += 1
                if busy.with({ $0.insert(row).inserted }) {
                    group.addTask { [self] in
                        if await write(row, version, database) {
                            let beat = Beat(version: version, acknowledged: .now)
                            acknowledged.with { $0[row].append(beat) }
                        }
                        busy.with { _ = $0.remove(row) }
                    }
                }
                await Pause.sleep(for: Self.interval)
            }
        }
    }

    private func write(_ row: Int, _ version: Int, _ database: Database) async -> Bool {
        do {
            try await database.write { [mode] in
                try await $0.upsert(Mode.item(Mode.beat(row), version: version), into: mode.table)
            }
            return true
        } catch {
            return false
        }
    }

    /// Acknowledged so far.
    var count: Int { acknowledged.with { $0.reduce(0) { $0 + $1.count } } }

    /// - Parameters:
    ///   - rows: the versions that a read found, by row; rows that it did not ask for are left out.
    ///   - begun: when the read began.
    func staleness(of rows: [Int: Int], begun: ContinuousClock.Instant) -> Duration {
        acknowledged.with { acknowledged in
            var oldest: ContinuousClock.Instant?
            for (row, version) in rows {
                // The newest are at the end, and all but a few are known.
                let unseen = acknowledged[row].reversed().prefix { $0.version > version }
                    .filter { $0.acknowledged <= begun }
                if let first = unseen.last { oldest = min(oldest ?? begun, first.acknowledged) }
            }
            return oldest.map { begun - $0 } ?? .zero
        }
    }
}
