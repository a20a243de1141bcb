import Foundation
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What the clients of a `ResidencyRun` do, under which faults, and what they are told.
final class ResidencyClients: Sendable {
    typealias Person = ResidencyRun.Person

    let cluster: EmbeddedCluster
    let matrix: LeakMatrix
    let people: Table<Person>
    /// Learners follow in the other region of the same law.
    let ledgers: Table<Person>
    private let rows: Int
    private let isLeaky: Bool
    private let state = Locked(State())

    private struct State {
        var errors: [String: Int] = [:]
        var next = 0
        var live: [Region: Set<String>] = [:]
    }

    init(cluster: EmbeddedCluster, matrix: LeakMatrix, rows: Int, isLeaky: Bool) {
        self.cluster = cluster
        self.matrix = matrix
        self.rows = rows
        self.isLeaky = isLeaky
        let placement: Placement = isLeaky ? .unrestricted : .restricted
        people = Table(
            "people", key: \.id, locality: .regionalByRow(\.region), survival: isLeaky ? .region : .zone,
            placement: placement)
        ledgers = Table(
            "ledgers", key: \.id, locality: .regional(in: "eu-west-1"), placement: placement, mode: .asynchronous)
    }

    var errors: [String: Int] { state.with { $0.errors } }
    private var europe: Database { cluster.database(in: "eu-west-1") }
    private var america: Database { cluster.database(in: "us-east-1") }
    private var japan: Database { cluster.database(in: "ap-northeast-1") }

    private func person(in region: Region, id: String? = nil) -> Person {
        let number = state.with { state in
            state.next += 1
            return state.next
        }
        let law = cluster.topology.jurisdiction(of: region)
        return Person(
            id: id ?? "\(ResidencyRun.keyCanaries[law] ?? "")-\(number)", region: region.rawValue,
            name: "\(ResidencyRun.valueCanaries[law] ?? "")-\(number)", age: number % 90)
    }

    // MARK: Faults

    /// - Parameter lookAtFiles: is called while each fault lasts.
    func goThroughFaults(_ lookAtFiles: () throws -> Void) async throws {
        try await work()
        describe()
        // What is not pinned leaks at once.
        if isLeaky { return try lookAtFiles() }
        try await contend()
        await provokeErrors()
        try lookAtFiles()

        matrix.begin("crash")
        let leader = try await cluster.leaseholder(of: people, in: "eu-west-1")
        if let leader { await cluster.kill(leader) }
        try await work()
        try lookAtFiles()
        if let leader { try await cluster.start(leader) }

        matrix.begin("lost disk")
        let victim = cluster.topology.nodes(in: "eu-central-1")[0].id
        await cluster.kill(victim)
        try await cluster.replace(victim)
        try await work()
        try lookAtFiles()

        matrix.begin("damaged file")
        let damaged = cluster.topology.nodes(in: "eu-central-1")[1]
        let path = (cluster.directory ?? "") + "/\(damaged.name)/"
        await cluster.kill(damaged.id)
        try FileHandle(forWritingAtPath: path + "state.sqlite")?
            .write(contentsOf: [UInt8](repeating: 0xA5, count: 64 * 1024))
        await attempt { try await self.cluster.start(damaged.id) }
        await cluster.kill(damaged.id)
        try await cluster.replace(damaged.id)
        try await work()

        matrix.begin("erasure")
        let erased = anyID(in: "eu-west-1")
        let certificate = try await cluster.erase(erased, from: people, under: "EU")
        state.with { _ = $0.live["eu-west-1"]?.remove(erased) }
        let text = String(decoding: try JSONEncoder().encode(certificate), as: UTF8.self)
        matrix.look(at: text + "\(certificate)", .certificates, "a certificate")
        guard certificate.isComplete else {
            throw MeridianError(.unavailable, "an erasure is outstanding on \(certificate.pendingNodes)")
        }
        // The logs do not go back to their beginning any more: a lost disk takes a snapshot.
        let emptied = cluster.topology.nodes(in: "eu-west-1")[2].id
        await cluster.kill(emptied)
        try await cluster.replace(emptied)
        try await work()
        try lookAtFiles()

        matrix.begin("no directory")
        // Where the snapshot is to be received there is nothing any more: the node says so in its log.
        let emptiedPath = (cluster.directory ?? "") + "/" + (cluster.topology.node(emptied)?.name ?? "")
        await cluster.kill(emptied)
        try await cluster.replace(emptied)
        try FileManager.default.removeItem(atPath: emptiedPath)
        for _ in 0..<50 where matrix[.logLines].scannedBytes == 0 { try await Task.sleep(for: .milliseconds(100)) }
        await cluster.kill(emptied)
        try await cluster.replace(emptied)
        try await work()

        matrix.begin("partition")
        let away = cluster.topology.nodes(in: "us-east-1").map(\.id)
        for node in away { cluster.isolate(node) }
        await attempt { try await self.europe.read(deadline: .seconds(1)) { try await $0.scan(self.people) } }
        try await work(in: ["eu-west-1", "eu-central-1"])
        for node in away { cluster.heal(node) }
        try lookAtFiles()

        matrix.begin("lease moved")
        if let current = try await cluster.leaseholder(of: people, in: "eu-west-1"),
            let next = cluster.topology.nodes(in: "eu-west-1").map(\.id).first(where: { $0 != current })
        {
            await attempt { try await self.cluster.transferLease(of: self.people, in: "eu-west-1", to: next) }
        }
        try await work()
        try lookAtFiles()

        matrix.begin("region lost")
        let lost = cluster.topology.nodes(in: "eu-central-1").map(\.id)
        for node in lost { await cluster.kill(node) }
        try await work(in: ["eu-west-1", "us-east-1"])
        await attempt {
            try await self.europe.write(deadline: .seconds(1)) {
                try await $0.insert(self.person(in: "eu-central-1"), into: self.people)
            }
        }
        await attempt {
            try await self.europe.read(deadline: .seconds(1)) {
                try await $0.get(self.person(in: "eu-central-1").id, from: self.people)
            }
        }
        try lookAtFiles()
        for node in lost { try await cluster.start(node) }
    }

    // MARK: Work

    /// Rows are written, changed, moved, deleted and read, at home and together with another jurisdiction's.
    private func work(in regions: [Region] = ["eu-west-1", "eu-central-1", "us-east-1"]) async throws {
        for region in regions {
            let database = cluster.database(in: region)
            let new = (0..<rows).map { _ in person(in: region) }
            let receipt = try await database.write(deadline: .seconds(60)) { tx in
                for row in new { try await tx.insert(row, into: self.people) }
            }
            tell(receipt)
            state.with { $0.live[region, default: []].formUnion(new.map(\.id)) }
            var changed = new[0]
            changed.age += 1
            tell(
                try await database.write(deadline: .seconds(60)) { [changed] in
                    try await $0.update(changed, in: self.people)
                })
            let gone = new[1]
            tell(
                try await database.write(deadline: .seconds(60)) {
                    try await $0.delete(gone.id, from: self.people, in: region)
                })
            state.with { _ = $0.live[region]?.remove(gone.id) }
            // By key alone: one that is there, one that is not.
            let found = try await database.read { tx in
                let found = try await tx.get(changed.id, from: self.people)
                self.tell(tx.token)
                return found
            }
            guard found != nil else { throw MeridianError(.rowNotFound, "a row that was just written is not there") }
            // Who looks for what is not there waits for every region of the law.
            let isWhole = regions.count > 2 || !regions.contains("us-east-1")
            if isWhole || region == "us-east-1" {
                _ = try await database.read { try await $0.get(changed.id + "-nobody", from: self.people) }
                _ = try await database.transact { try await $0.get(changed.id + "-nobody", from: self.people) }
            }
            _ = try await database.read { try await $0.scan(self.people, prefix: changed.id, in: region) }
        }
        if regions.contains("eu-west-1"), regions.contains("eu-central-1") { try await moveWithinEurope() }
        if regions.contains("us-east-1") {
            // A transaction over two jurisdictions, from each of them: each range gets its own part.
            for database in [europe, america] {
                let pair = [person(in: "eu-west-1"), person(in: "us-east-1")]
                tell(
                    try await database.write(deadline: .seconds(60)) {
                        for row in pair { try await $0.insert(row, into: self.people) }
                    })
                state.with { state in
                    state.live["eu-west-1", default: []].insert(pair[0].id)
                    state.live["us-east-1", default: []].insert(pair[1].id)
                }
            }
        }
        let entry = person(in: "eu-west-1")
        tell(try await europe.write(deadline: .seconds(60)) { try await $0.insert(entry, into: self.ledgers) })
        await aggregate(deadline: .seconds(2))
    }

    private func moveWithinEurope() async throws {
        guard let id = state.with({ $0.live["eu-west-1"]?.min() }) else { return }
        let moved = person(in: "eu-central-1", id: id)
        tell(try await europe.write(deadline: .seconds(60)) { try await $0.update(moved, in: self.people) })
        state.with { state in
            state.live["eu-west-1"]?.remove(id)
            state.live["eu-central-1", default: []].insert(id)
        }
    }

    /// Transactions that want the same rows of two jurisdictions, so that they lock, wait and wound.
    private func contend() async throws {
        let rows = [person(in: "eu-west-1"), person(in: "us-east-1")]
        try await europe.write { for row in rows { try await $0.insert(row, into: self.people) } }
        state.with { state in
            for row in rows { state.live[Region(row.region), default: []].insert(row.id) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<12 {
                // Each region's clients read their own jurisdiction's row and write both.
                let database = number % 2 == 0 ? europe : america
                let own = rows[number % 2]
                group.addTask {
                    let receipt = try await database.write(deadline: .seconds(60)) { tx in
                        guard var row = try await tx.get(own.id, from: self.people, in: Region(own.region)) else {
                            return
                        }
                        row.age += 1
                        try await tx.update(row, in: self.people)
                        try await tx.upsert(number % 2 == 0 ? rows[1] : rows[0], into: self.people)
                    }
                    self.tell(receipt)
                }
            }
            try await group.waitForAll()
        }
    }

    /// From a region that may see no row, and from the rows' own.
    private func aggregate(deadline: Duration) async {
        for database in [japan, europe] {
            await attempt {
                let result = try await database.aggregate(
                    over: self.people, [.count, .mean(\.age), .histogram(\.age, bounds: [30, 60])],
                    groupedBy: { $0.region }, person: { $0.id }, deadline: deadline)
                self.matrix.look(at: "\(result)", .aggregates, "an aggregate")
            }
            await attempt {
                let result = try await database.aggregate(
                    over: self.people, [.count], groupedBy: { $0.name }, person: { $0.id }, deadline: deadline)
                guard database.region == "ap-northeast-1" else { return }
                self.matrix.look(at: "\(result)", .aggregates, "an aggregate by name")
            }
        }
    }

    // MARK: What is told

    private func tell(_ receipt: Receipt) {
        matrix.look(at: "\(receipt) \(String(reflecting: receipt))", .receipts, "a receipt")
        tell(receipt.token)
    }

    private func tell(_ token: CausalToken?) {
        guard let token else { return }
        matrix.look(at: "\(token) \(String(reflecting: token))", .tokens, "a token")
        matrix.look(into: token, .tokens, under: nil, "a token")
    }

    /// Runs something that may fail, and looks at how.
    func attempt(_ body: () async throws -> some Any) async {
        do {
            _ = try await body()
        } catch {
            let code = (error as? MeridianError)?.code.description ?? "\(type(of: error))"
            state.with { $0.errors[code, default: 0] += 1 }
            for text in ["\(error)", String(reflecting: error), error.localizedDescription] {
                matrix.look(at: text, .errors, "error \(code)")
            }
        }
    }

    private func provokeErrors() async { await ResidencyErrors(clients: self).provoke() }

    /// The catalog as every node has it, and the texts of the values that hold keys and rows.
    private func describe() {
        let topology = cluster.topology
        for range in cluster.directoryRanges {
            matrix.look(into: range, .boundaries, under: nil, "the descriptor of \(range.id)")
            matrix.look(at: "\(range.span.lower) \(range.span)", .descriptions, "a span")
        }
        for law in ResidencyRun.keyCanaries.keys.sorted() {
            let text = ResidencyRun.keyCanaries[law] ?? ""
            let key = Key(Array(text.utf8))
            matrix.look(at: "\(key) \(String(describing: key))", .descriptions, "a key")
        }
        matrix.look(at: "\(topology)", .descriptions, "the topology")
        matrix.look(at: "\(cluster.egress)", .ledger, "the ledger")
    }

    /// Rows at the end, as their own regions see them.
    func countRows() async throws -> Int {
        var count = 0
        for (region, ids) in state.with({ $0.live }) {
            let found = try await cluster.database(in: region).read(deadline: .seconds(60)) {
                try await $0.scan(self.people, in: region)
            }
            let missing = ids.subtracting(found.map(\.id)).count
            guard missing == 0 else {
                throw MeridianError(.corruption, "\(missing) acknowledged rows of \(region) are gone")
            }
            count += ids.count
        }
        return count
    }

    func person(of region: Region) -> Person { person(in: region) }
    func anyID(in region: Region) -> String { state.with { $0.live[region]?.min() ?? "" } }
}
