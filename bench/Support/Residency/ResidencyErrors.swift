import Meridian
import MeridianCore
import MeridianPlacement

/// Every error that a client can bring about with a row in its hand: none may repeat what the row says.
struct ResidencyErrors {
    typealias Person = ResidencyRun.Person

    let clients: ResidencyClients

    private struct WrongPerson: Codable, Sendable {
        enum Name: String, Codable, Sendable { case ada, grace }
        var id: String
        var region: String
        var name: Name
        var age: Int
    }

    private struct Narrow: Codable, Sendable {
        var id: String
        var region: String
        var name: String
        var age: Int8
    }

    private var people: Table<Person> { clients.people }
    private var europe: Database { clients.cluster.database(in: "eu-west-1") }
    private var america: Database { clients.cluster.database(in: "us-east-1") }
    private var japan: Database { clients.cluster.database(in: "ap-northeast-1") }

    func provoke() async {
        let id = clients.anyID(in: "eu-west-1")
        let known = Person(id: id, region: "eu-west-1", name: clients.person(of: "eu-west-1").name, age: 1)
        // duplicateKey, at home and from outside; twice in one closure.
        for database in [europe, america] {
            await attempt { try await database.write { try await $0.insert(known, into: people) } }
        }
        await attempt {
            try await europe.write {
                let row = clients.person(of: "eu-west-1")
                try await $0.insert(row, into: people)
                try await $0.insert(row, into: people)
            }
        }
        // rowNotFound.
        await attempt { try await europe.write { try await $0.update(clients.person(of: "eu-west-1"), in: people) } }
        await attempt { try await europe.write { try await $0.delete(id + "-nobody", from: people) } }
        // jurisdictionViolation: a read, a transaction, a scan, a move, an aggregate.
        for database in [america, japan] {
            await attempt { try await database.read { try await $0.get(id, from: people, in: "eu-west-1") } }
            await attempt { try await database.transact { try await $0.get(id, from: people, in: "eu-west-1") } }
            await attempt { try await database.read { try await $0.scan(people, prefix: id, in: "eu-west-1") } }
            await attempt { try await database.read(deadline: .seconds(2)) { try await $0.scan(people) } }
            await attempt { try await database.aggregate(over: people, [.max(\.age)]) }
        }
        await attempt {
            var moved = known
            moved.region = "us-east-1"
            try await europe.write { [moved] in try await $0.update(moved, in: people) }
        }
        // unknownRegion: the region's column holds what it should not.
        await attempt {
            var lost = known
            lost.region = known.name
            try await europe.write { [lost] in try await $0.insert(lost, into: people) }
        }
        // keyTooLarge, rowTooLarge, transactionTooLarge.
        await attempt { try await insert { $0.id = String(repeating: known.id, count: 10_000) } }
        await attempt { try await insert { $0.name = String(repeating: known.name, count: 300_000) } }
        await attempt {
            try await europe.write { tx in
                for _ in 0..<30 {
                    var row = clients.person(of: "eu-west-1")
                    row.name = String(repeating: row.name, count: 40_000)
                    try await tx.insert(row, into: people)
                }
            }
        }
        // typeMismatch: what is stored is not what the program expects.
        let wrong = Table<WrongPerson>("people", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
        await attempt { try await europe.read { try await $0.scan(wrong, in: "eu-west-1") } }
        await attempt {
            try await europe.read {
                try await $0.scan(
                    Table<Narrow>("people", key: \.id, locality: .regionalByRow(\.region), placement: .restricted),
                    in: "eu-west-1")
            }
        }
        // tableMismatch, placementImpossible.
        let other = Table<Person>("people", key: \.name, locality: .regionalByRow(\.region), placement: .restricted)
        await attempt { try await europe.read { try await $0.get(known.name, from: other) } }
        let greedy = Table<Person>(
            "greedy", key: \.id, locality: .regionalByRow(\.region), survival: .region, placement: .restricted)
        await attempt { try await europe.create(greedy) }
        // conflict and deadlineExceeded: somebody else writes what the closure has read, each time it runs.
        await attempt {
            try await europe.write(deadline: .milliseconds(300)) { tx in
                guard var row = try await tx.get(id, from: people, in: "eu-west-1") else { return }
                row.age += 1
                try await europe.write { [row] in try await $0.update(row, in: people) }
                try await tx.update(row, in: people)
            }
        }
        // readTooOld, readInFuture, invalidToken.
        await attempt { try await europe.read(.exactStaleness(.seconds(1200))) { try await $0.get(id, from: people) } }
        await attempt { try await europe.read(.at(.distantFuture)) { try await $0.get(id, from: people) } }
        let foreign = TokenSeal(key: TokenSeal.drawKey()).sample
        await attempt { try await europe.read(.after(foreign)) { try await $0.get(id, from: people) } }
        // transactionEnded.
        await attempt {
            let ended = Locked<Transaction?>(nil)
            _ = try? await europe.write { tx in ended.with { $0 = tx } }
            try await ended.with { $0 }?.insert(known, into: people)
        }
    }

    private func insert(_ change: (inout Person) -> Void) async throws {
        var row = clients.person(of: "eu-west-1")
        change(&row)
        try await europe.write { [row] in try await $0.insert(row, into: people) }
    }

    private func attempt(_ body: () async throws -> some Any) async { await clients.attempt(body) }
}
