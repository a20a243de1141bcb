import Meridian
import MeridianCheckers
import MeridianCore

/// Transfers between accounts, and reads of all of them at one timestamp: money is neither made nor lost (Jepsen's
/// `bank`).
struct BankWorkload: Workload {
    let model = HistoryModel.bank
    private let table: Table<RegisterRow>
    private static let accounts = 6
    private static let opening = 100

    init(_ topology: Topology) {
        table = Table("accounts", key: \.id, locality: .regional(in: topology.regions[0]), survival: .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        let database = world.database(in: world.topology.regions[0])
        try await database.write(deadline: .seconds(60)) { transaction in
            for id in 0..<Self.accounts {
                try await transaction.insert(RegisterRow(id: id, value: Self.opening), into: table)
            }
        }
    }

    func operation(_ client: WorkloadClient) async {
        let world = client.world
        if world.randomNumber(below: 3) == 0 { return await readAll(client) }
        let from = world.randomNumber(below: Self.accounts)
        let to = (from + 1 + world.randomNumber(below: Self.accounts - 1)) % Self.accounts
        let amount = 1 + world.randomNumber(below: 10)
        let table = table
        let value = HistoryValue.transfer(from: .int(from), to: .int(to), amount: amount)
        await client.record(value) {
            try await client.database.write(deadline: client.deadline) { transaction in
                guard var payer = try await transaction.get(from, from: table),
                    var payee = try await transaction.get(to, from: table), payer.value >= amount
                else { throw WorkloadClient.Abandoned() }
                payer.value -= amount
                payee.value += amount
                try await transaction.update(payer, in: table)
                try await transaction.update(payee, in: table)
            }
            return value
        }
    }

    private func readAll(_ client: WorkloadClient) async {
        let table = table
        await client.record(.balances(nil)) {
            let rows = try await client.database.read(deadline: client.deadline) { try await $0.scan(table) }
            return .balances(rows.map { AccountBalance(account: .int($0.id), balance: $0.value) })
        }
    }

    func finish(_ client: WorkloadClient) async { await readAll(client) }
}
