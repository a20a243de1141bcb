import BenchSupport
import Foundation
import Meridian

/// Writes notes, and remembers which of them were acknowledged, so that at the end each can be asked for again.
final class DemoLedger: Sendable {
    let cluster: EmbeddedCluster
    private let run = Int(Date().timeIntervalSince1970 * 1000)
    private let state = Locked(State())

    private struct State {
        var lastNumber = 0
        var acknowledged: [Place: Set<Int>] = [:]
    }

    private struct Place: Hashable {
        var mode: String
        var region: Region
    }

    init(cluster: EmbeddedCluster) { self.cluster = cluster }

    /// Inserts a new note with this home region, from a client in `origin`.
    @discardableResult
    func write(_ mode: CommitMode, home: Region, from origin: Region) async throws -> Receipt {
        let number = state.with { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        let note = Note(run: run, number: number, region: home.rawValue, text: "note \(number) of \(mode.name)")
        let receipt = try await cluster.database(in: origin).write { try await $0.insert(note, into: mode.table) }
        state.with { _ = $0.acknowledged[Place(mode: mode.name, region: home), default: []].insert(number) }
        return receipt
    }

    var acknowledgedCount: Int { state.with { $0.acknowledged.values.reduce(0) { $0 + $1.count } } }

    /// Reads all of this run's notes back, each from its home region.
    /// - Returns: how many acknowledged ones are not there.
    func lostCount() async throws -> Int {
        let acknowledged = state.with { $0.acknowledged }
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for (place, numbers) in acknowledged {
                guard let mode = CommitMode.all.first(where: { $0.name == place.mode }) else { continue }
                group.addTask {
                    let found = try await self.cluster.database(in: place.region).read {
                        try await $0.scan(mode.table, prefix: self.run, in: place.region)
                    }
                    return numbers.subtracting(found.map(\.number)).count
                }
            }
            return try await group.reduce(0, +)
        }
    }
}
