import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What a copy keeps of the deletions that it has forgotten: one row for all of them (`CopyTrimmer`).
struct ForgottenDeletions: Equatable, Sendable {
    /// None of this copy's own writes that it has forgotten has a higher number, so later ones are numbered above: a
    /// copy that has not forgotten them must not take a new write for one of them.
    var number: UInt64 = 0
    /// The other copies when something was forgotten last, and as of when each was seen to hold no older state of it,
    /// by the timestamps of its own range.
    var verified: [TableID: Timestamp] = [:]
    /// The newest copy that there was, in use or not.
    var newest = TableID.system

    init() {}

    /// - Throws: `.corruption`.
    init(_ row: KeyedVersion?) throws(MeridianError) {
        guard let value = row?.version.value else { return }
        let damaged = MeridianError(.corruption, "what a copy has forgotten cannot be read")
        let numbers = try RowCoding.decode(value, name: "cursors").map { value throws(MeridianError) -> Int64 in
            guard case .integer(let number) = value else { throw damaged }
            return number
        }
        guard numbers.count >= 2, numbers.count % 2 == 0, let newest = UInt32(exactly: numbers[1]) else {
            throw damaged
        }
        number = UInt64(bitPattern: numbers[0])
        self.newest = TableID(newest)
        for position in stride(from: 2, to: numbers.count, by: 2) {
            guard let copy = UInt32(exactly: numbers[position]) else { throw damaged }
            verified[TableID(copy)] = Timestamp(rawValue: numbers[position + 1])
        }
    }

    func encoded() throws(MeridianError) -> [UInt8] {
        var values: [Value] = [.integer(Int64(bitPattern: number)), .integer(Int64(newest.rawValue))]
        for (copy, timestamp) in verified.sorted(by: { $0.key < $1.key }) {
            values += [.integer(Int64(copy.rawValue)), .integer(timestamp.rawValue)]
        }
        return try RowCoding.encode(values, name: "cursors")
    }

    /// Whether rows of another copy can hold nothing that was forgotten here: they were read after it was seen that the
    /// copy has nothing of it. A copy that was out of use by then was not looked at, and one that came later began with
    /// what the others had.
    func admits(rowsOf copy: TableID, readAt timestamp: Timestamp) -> Bool {
        if let known = verified[copy] { return timestamp > known }
        return copy > newest
    }
}

extension ResolvedTable {
    /// Where a copy keeps what it knows of the deletions that it has forgotten: as its cursor on itself.
    func forgottenKey(in range: RangeDescriptor) throws(MeridianError) -> Key {
        try KeyEncoder.key(
            table: keyTable(of: range), index: .cursors, region: range.partition,
            values: [.integer(Int64(keyTable(of: range).rawValue))], types: [.integer], name: name)
    }
}

extension ActiveTable {
    func forgottenKey() throws(MeridianError) -> Key { try resolved.forgottenKey(in: own.range) }
}
