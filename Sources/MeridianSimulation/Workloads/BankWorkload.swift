import Meridian
import MeridianCheckers
import MeridianCore

/// Transfers between accounts, and reads of all of them at one timestamp: money is neither made nor lost (Jepsen's
/// `bank`). Where the accounts are at home in several regions, they move now and then, and whoever wants one looks for
/// it.
struct BankWorkload: Workload {
    let model = HistoryModel.bank
    private let table: Table<HomedRow>
    private let spread: RowSpread
    private let isWide: Bool
    private static let accounts = 6
    private static let opening = 100

    init(_ topology: Topology, isWide: Bool) {
        self.isWide = isWide
        spread = RowSpread(topology, isWide: isWide)
        table = Table("accounts", key: \.id, locality: spread.locality(\.region), survival: .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        let database = world.database(in: world.topology.regions[0])
        try await database.write(deadline: .seconds(60)) { transaction in
            for id in 0..<Self.accounts {
                let row = HomedRow(id: id, region: spread.home(of: id).rawValue, value: Self.opening)
                try await transaction.insert(row, into: table)
            }
        }
    }

    func operation(_ client: WorkloadClient) async {
        let world = client.world
        if world.randomNumber(below: 3) == 0 { return await readAll(client) }
        if isWide, world.randomNumber(below: 6) == 0 { return await move(client) }
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

    /// An account gets another home. The history does not speak of it: no balance changes.
    private func move(_ client: WorkloadClient) async {
        let account = client.world.randomNumber(below: Self.accounts)
        let home = spread.home(of: client.world.randomNumber(below: Self.accounts)).rawValue
        let table = table
        _ = try? await client.database.write(deadline: client.deadline) { transaction in
            guard var row = try await transaction.get(account, from: table) else { return }
            row.region = home
            try await transaction.update(row, in: table)
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
