import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement

/// Rows of an active-active table that are written, deleted and erased in all regions at once, while copies come and go
/// and aggregates are asked for. Few keys, so that all of it meets.
///
/// Each write has a value of its own. Once an erasure is acknowledged, no value that was acknowledged before it began
/// may be seen again: in no copy, and in no conflict. What is written at the same time may be gone or there. In the end
/// all copies are equal.
struct ErasureWorkload: Workload {
    let model = HistoryModel.set
    let rule = "erasure"
    private let people: Table<ErasableRow>
    private let regions: [Region]
    private let account = Account()

    private static let keyCount = 4
    private static let convergenceLimit = Duration.seconds(15)

    /// Only the world's thread uses it.
    private final class Account: @unchecked Sendable {
        var acknowledged: [Int: Set<String>] = [:]
        var forbidden: [Int: Set<String>] = [:]
        var isFinished = false
        var problem: String?

        func report(_ text: String) { problem = problem ?? text }

        func check(_ values: some Sequence<String>, of key: Int, _ forbidden: [Int: Set<String>], _ place: String) {
            if let value = values.first(where: { forbidden[key]?.contains($0) == true }) {
                report("\(value) of row \(key) was erased, and is \(place)")
            }
        }
    }

    init(_ topology: Topology) {
        regions = topology.regions
        people = Table("people", key: \.id, convergence: .columns(.counter(\.visits), .addWinsSet("tags")))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        world.startKeepers()
        try await world.database(in: regions[0]).create(people, deadline: .seconds(60))
    }

    func operation(_ client: WorkloadClient) async {
        let key = client.world.randomNumber(below: Self.keyCount)
        switch client.world.randomNumber(below: 20) {
        case 0: try? await client.database.retireCopy(of: people, in: regions[regions.count - 1])
        case 1:
            try? await client.database.addCopy(of: people, in: regions[regions.count - 1], deadline: client.deadline)
        case 2...4: await erase(key, client)
        case 5, 6: await delete(key, client)
        case 7: _ = try? await client.database.aggregate(over: people, [.count, .sum(\.visits)])
        case 8...11: await read(client)
        default: await write(key, client)
        }
    }

    private func write(_ key: Int, _ client: WorkloadClient) async {
        let value = "v\(client.recorder.uniqueValue())"
        await attempt(client) {
            try await client.database.write(deadline: client.deadline) { tx in
                var row = try await tx.get(key, from: people) ?? ErasableRow(id: key)
                row.visits += 1
                row.text = value
                row.tags.insert(value)
                if row.tags.count > 3 { row.tags.removeFirst() }
                try await tx.upsert(row, into: people)
            }
            account.acknowledged[key, default: []].insert(value)
        }
    }

    private func delete(_ key: Int, _ client: WorkloadClient) async {
        await attempt(client) {
            try await client.database.write(deadline: client.deadline) { try await $0.delete(key, from: people) }
        }
    }

    private func erase(_ key: Int, _ client: WorkloadClient) async {
        let before = account.acknowledged[key] ?? []
        await attempt(client) {
            try await client.database.eraseFromCopies(key, of: people, deadline: client.deadline)
            account.forbidden[key, default: []].formUnion(before)
        }
    }

    private func attempt(_ client: WorkloadClient, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch let error as MeridianError {
            if error.code == .corruption { client.recorder.troubles.append("\(error)") }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    private func read(_ client: WorkloadClient) async {
        let forbidden = account.forbidden
        await attempt(client) {
            let rows = try await client.database.read(deadline: client.deadline) { try await $0.scan(people) }
            for row in rows { account.check([row.text] + row.tags.sorted(), of: row.id, forbidden, "read") }
        }
    }

    func finish(_ client: WorkloadClient) async {
        guard !account.isFinished else { return }
        account.isFinished = true
        do { try await conclude(client) } catch { account.report("after the faults: \(error)") }
    }

    private func conclude(_ client: WorkloadClient) async throws {
        let db = client.database
        let forbidden = account.forbidden
        let last = regions[regions.count - 1]
        // It is refused where there is one.
        try? await db.addCopy(of: people, in: last, deadline: .seconds(15))
        let end = client.world.now + Self.convergenceLimit
        while true {
            let copies = try? await db.storedCopies(of: people, deadline: .seconds(5))
            if let copies, copies.count == regions.count, copies.allSatisfy({ $0.isEqual(to: copies[0]) }) { break }
            guard client.world.now < end else {
                return account.report(
                    "the copies are not equal: \(copies.map(ActiveActiveAccount.describe) ?? "unread")")
            }
            await client.world.sleep(for: .milliseconds(200))
        }
        for region in regions {
            let rows = try await db.read(deadline: .seconds(10)) { try await $0.scan(people, in: region) }
            for row in rows {
                account.check([row.text] + row.tags.sorted(), of: row.id, forbidden, "in the copy in \(region)")
            }
        }
        for conflict in try await db.conflicts(of: people, deadline: .seconds(10)) {
            let key = conflict.key.first.flatMap { Int($0) } ?? -1
            account.check(conflict.lost.values.sorted(), of: key, forbidden, "among the conflicts")
        }
    }

    func anomaly() -> String? { account.problem }
}

private struct ErasableRow: Codable, Sendable, Equatable {
    var id: Int
    var visits = 0
    var text = ""
    var tags: [String] = []
}

extension [String] {
    fileprivate mutating func insert(_ element: String) { if !contains(element) { append(element) } }
}
