import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement

/// Rows that all regions write at the same time, each in a copy of its own: a table of which each column is resolved in
/// its own way, and one of whole rows of which the latest write holds, with deletions. Few keys, so that writes meet.
///
/// Every write of the first table puts a number of its own, the *witness*, into the row's set, and nobody takes it out:
/// a row arrives whole, so whoever sees the witness sees the write. By it the account knows what each write had seen
/// and which writes of unknown outcome have happened (`ActiveActiveAccount`). For its own region a witness is an
/// element that is found from its acknowledgement on, which makes the history: one set for each region and minute.
///
/// A copy comes in under the faults, and one goes and is made anew at the end. No region loses all of its disks here:
/// what it had not shipped would be gone, as is promised (docs/TESTING.md).
struct ActiveActiveWorkload: Workload {
    let model = HistoryModel.set
    let rule = "active-active"
    private let mixed: Table<MixedRow>
    private let whole: Table<WholeRow>
    private let regions: [Region]
    private let account = ActiveActiveAccount()

    private static let keyCount = 3
    private static let tags = [-1, -2, -3]
    /// Within this time after the faults, when all ranges serve, all copies are equal.
    private static let convergenceLimit = Duration.seconds(10)

    init(_ topology: Topology) {
        regions = topology.regions
        mixed = Table(
            "mixed", keyColumns: ["part", "id"],
            convergence: .columns(
                .counter(\.visits), .growOnlyCounter(\.total), .addWinsSet("items"), .siblings("note")))
        // The last region's copy comes later.
        whole = Table(
            "whole", keyColumns: ["part", "id"], convergence: .lastWriterWins,
            in: Array(topology.regions.prefix(max(1, topology.regions.count - 1))))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        world.startKeepers()
        try await world.database(in: regions[0]).create(mixed, deadline: .seconds(60))
        try await world.database(in: regions[0]).create(whole, deadline: .seconds(60))
    }

    func operation(_ client: WorkloadClient) async {
        switch client.world.randomNumber(below: 40) {
        case 0: try? await client.database.addCopy(of: whole, in: regions[regions.count - 1], deadline: client.deadline)
        case 1...15: await writeWhole(client)
        case 16...30: await writeMixed(client)
        case 31...34: await readAfterToken(client)
        default: await read(SetParts.now(client), client)
        }
    }

    // MARK: The table of columns

    private func place(_ client: WorkloadClient) -> Int { regions.firstIndex(of: client.region) ?? 0 }
    private func place(ofWitness witness: Int) -> Int { witness % regions.count }
    private func part(_ minute: Int, _ client: WorkloadClient) -> Int { minute * regions.count + place(client) }

    private func writeMixed(_ client: WorkloadClient) async {
        let world = client.world
        let minute = SetParts.now(client)
        let key = RowName(part: minute, id: world.randomNumber(below: Self.keyCount))
        let witness = client.recorder.uniqueValue() * regions.count + place(client)
        let kind = world.randomNumber(below: 5)
        let (visits, total) = (world.randomNumber(below: 11) - 5, world.randomNumber(below: 6))
        let tag = Self.tags[world.randomNumber(below: Self.tags.count)]
        let draft = Draft()
        await client.record(.add(witness), part: part(minute, client)) {
            do {
                let receipt = try await client.database.write(deadline: client.deadline) { tx in
                    var change = MixedChange(witness: witness)
                    guard var row = try await tx.get(key.part, key.id, from: mixed) else {
                        let row = MixedRow(key, witness: witness, visits: visits, total: total)
                        change.noteNew(row)
                        draft.change = change
                        return try await tx.insert(row, into: mixed)
                    }
                    change.seen = Set(row.items.filter { $0 >= 0 })
                    // Any update settles what was written at the same time.
                    let notes = try await tx.siblings(of: key.part, key.id, in: mixed).map(\.note)
                    if kind == 2 || notes.count > 1 {
                        change.note = .init(new: "n\(witness)", priors: notes)
                        row.note = "n\(witness)"
                    }
                    switch kind {
                    case 0:
                        (change.visits, change.total) = (visits, total)
                        row.visits += visits
                        row.total += total
                    case 1:
                        change.text = .init(new: "t\(witness)", priors: [row.text])
                        row.text = "t\(witness)"
                    case 2: break
                    case 3:
                        if row.items.insert(tag).inserted { change.added = tag }
                    default:
                        if row.items.remove(tag) != nil { change.removed = tag }
                    }
                    row.items.insert(witness)
                    draft.change = change
                    try await tx.update(row, in: mixed)
                }
                note(draft, key, isAcknowledged: true)
                account.tokens.append(.init(token: receipt.token, key: key, witness: witness))
            } catch let error as MeridianError where error.commitOutcome == .unknown {
                note(draft, key, isAcknowledged: false)
                throw error
            }
            return .add(witness)
        }
    }

    /// What a transaction's last attempt has made of the row.
    private final class Draft: @unchecked Sendable { var change: MixedChange? }

    private func note(_ draft: Draft, _ key: RowName, isAcknowledged: Bool) {
        guard var change = draft.change else { return }
        change.isAcknowledged = isAcknowledged
        account.mixed[key, default: []].append(change)
    }

    /// The writes of the client's own region: each is there once it was acknowledged.
    private func read(_ minute: Int, _ client: WorkloadClient) async {
        await client.record(.elements(nil), part: part(minute, client)) {
            let rows = try await client.database.read(deadline: client.deadline) {
                try await $0.scan(mixed, prefix: minute)
            }
            let own = rows.flatMap(\.items).filter { $0 >= 0 && place(ofWitness: $0) == place(client) }
            return .elements(own.sorted())
        }
    }

    /// Who carries a token sees in every region what it proves.
    private func readAfterToken(_ client: WorkloadClient) async {
        let recent = Array(account.tokens.suffix(8))
        guard !recent.isEmpty else { return }
        let proof = recent[client.world.randomNumber(below: recent.count)]
        let readsOtherFirst = client.world.randomNumber(below: 2) == 0
        do {
            let row = try await client.database.read(.after(proof.token), deadline: client.deadline) { tx in
                if readsOtherFirst { _ = try await tx.get(proof.key.part, proof.key.id, from: whole) }
                return try await tx.get(proof.key.part, proof.key.id, from: mixed)
            }
            if row?.items.contains(proof.witness) != true {
                account.report(
                    "a read in \(client.region) after a token does not see \(proof.witness), which it proves")
            }
        } catch let error as MeridianError {
            // It waits for what may be cut off.
            if error.code == .corruption { client.recorder.troubles.append("\(error)") }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    // MARK: The table of whole rows

    private func writeWhole(_ client: WorkloadClient) async {
        let world = client.world
        let key = RowName(part: SetParts.now(client), id: world.randomNumber(below: Self.keyCount))
        let value = "w\(client.recorder.uniqueValue())"
        let deletes = world.randomNumber(below: 4) == 0
        let draft = WholeDraft()
        func note(isAcknowledged: Bool) {
            guard var change = draft.change else { return }
            change.isAcknowledged = isAcknowledged
            account.whole[key, default: []].append(change)
        }
        do {
            try await client.database.write(deadline: client.deadline) { tx in
                let before = try await tx.get(key.part, key.id, from: whole)
                if deletes, let before {
                    draft.change = WholeChange(value: nil, prior: before.text)
                    try await tx.delete(key.part, key.id, from: whole)
                } else {
                    draft.change = WholeChange(value: value, prior: before?.text)
                    try await tx.upsert(WholeRow(part: key.part, id: key.id, text: value), into: whole)
                }
            }
            note(isAcknowledged: true)
        } catch let error as MeridianError {
            if error.commitOutcome == .unknown { note(isAcknowledged: false) }
            if error.code == .corruption { client.recorder.troubles.append("\(error)") }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    private final class WholeDraft: @unchecked Sendable { var change: WholeChange? }

    // MARK: The end

    func finish(_ client: WorkloadClient) async {
        if !account.isFinished {
            account.isFinished = true
            do { try await conclude(client) } catch { account.report("after the faults: \(error)") }
        }
        for minute in 0...SetParts.now(client) { await read(minute, client) }
    }

    private func conclude(_ client: WorkloadClient) async throws {
        let db = client.database
        // One that is being filled must not come in between two looks.
        let last = regions[regions.count - 1]
        if try await !db.copies(of: whole).contains(last) {
            // It is refused where one has been filled meanwhile; `renewCopy` fails if there is none.
            try? await db.addCopy(of: whole, in: last, deadline: .seconds(15))
        }
        try await converge(client, "after the faults")
        account.mixedRows = try await rows(of: mixed, client)
        account.wholeRows = try await rows(of: whole, client)
        let limit = Duration.seconds(10)
        account.mixedSiblings = try await db.read(deadline: limit) { tx in
            var notes: [RowName: [String]] = [:]
            for key in account.mixed.keys.sorted() {
                notes[key] = try await tx.siblings(of: key.part, key.id, in: mixed).map(\.note)
            }
            return notes
        }
        account.mixedConflicts = try await db.conflicts(of: mixed, deadline: limit)
            .reduce(into: [:]) { $0[RowName($1.key), default: []].formUnion($1.lost.values) }
        account.wholeConflicts = try await db.conflicts(of: whole, deadline: limit)
            .reduce(into: [:]) { $0[RowName($1.key), default: []].formUnion($1.lost.values) }
        account.isComplete = true
        try await renewCopy(client)
    }

    /// A copy goes and a new one takes its place: it has what the others have.
    private func renewCopy(_ client: WorkloadClient) async throws {
        let region = regions[regions.count - 1]
        try await client.database.retireCopy(of: whole, in: region)
        try await client.database.addCopy(of: whole, in: region, deadline: .seconds(15))
        try await converge(client, "after a copy was made anew")
        account.noteRenewed(try await rows(of: whole, client))
    }

    /// Waits until all copies of both tables have stored the same.
    private func converge(_ client: WorkloadClient, _ when: String) async throws {
        let end = client.world.now + Self.convergenceLimit
        while true {
            let copies = try? await stored(client)
            let differ = copies?.first { copies in !copies.allSatisfy { $0.isEqual(to: copies[0]) } }
            if copies != nil, differ == nil { return }
            guard client.world.now < end else {
                let which = differ.map(ActiveActiveAccount.describe) ?? "they cannot be read"
                throw MeridianError(
                    .deadlineExceeded,
                    "\(when) the copies are not equal within \(Self.convergenceLimit.seconds) s: \(which)")
            }
            await client.world.sleep(for: .milliseconds(100))
        }
    }

    private func stored(_ client: WorkloadClient) async throws -> [[StoredCopy]] {
        [
            try await client.database.storedCopies(of: mixed, deadline: .seconds(5)),
            try await client.database.storedCopies(of: whole, deadline: .seconds(5)),
        ]
    }

    /// The rows of a table, which every region with a copy must show alike.
    private func rows<Row: NamedRow>(of table: Table<Row>, _ client: WorkloadClient) async throws -> [RowName: Row] {
        var first: [RowName: Row]?
        for region in try await client.database.copies(of: table) {
            let rows = try await client.database.read(deadline: .seconds(10)) { try await $0.scan(table, in: region) }
            let found = Dictionary(uniqueKeysWithValues: rows.map { (RowName(part: $0.part, id: $0.id), $0) })
            if let first, first != found { account.report("\(region) shows other rows of \(table.name) than another") }
            first = first ?? found
        }
        return first ?? [:]
    }

    func anomaly() -> String? { account.anomaly() }
}
