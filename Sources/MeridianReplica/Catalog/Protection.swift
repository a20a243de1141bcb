import MeridianCore
import MeridianPlacement

/// A row of the system range by which somebody who works for long, a backup or a feed, keeps what was visible at a
/// timestamp from being collected (protected timestamps, as in CockroachDB).
///
/// It takes effect where a leaseholder has applied it: whoever has written one must read the ranges as of the timestamp
/// once, and go by those that answer. A range that had raised its threshold before says `readTooOld`. Whoever is done
/// deletes the row; what nobody deletes holds the ranges' garbage for ever.
package struct Protection: Hashable, Sendable {
    package var timestamp: Timestamp
    /// Of which table; `nil` for all.
    package var table: TableID?

    package init(timestamp: Timestamp, table: TableID?) {
        self.timestamp = timestamp
        self.table = table
    }

    func covers(_ table: TableID) -> Bool { self.table.map { $0 == table } ?? true }

    package static func key(of name: String) throws(MeridianError) -> Key { try Catalog.key("protection", name) }

    package func mutation(named name: String) throws(MeridianError) -> Mutation {
        let values: [Value] = [.integer(timestamp.rawValue), table.map { .integer(Int64($0.rawValue)) } ?? .null]
        return Mutation(key: try Self.key(of: name), value: try RowCoding.encode(values, name: "system.protection"))
    }

    static let span: KeySpan = {
        guard let key = try? Catalog.key("protection", "") else {
            preconditionFailure("the system keys are malformed")
        }
        return KeySpan(prefix: Array(key.bytes.dropLast(2)))
    }()

    init(encoded value: [UInt8]) throws(MeridianError) {
        let values = try RowCoding.decode(value, name: "system.protection")
        guard values.count == 2, case .integer(let timestamp) = values[0] else { throw Self.malformed }
        self.timestamp = Timestamp(rawValue: timestamp)
        switch values[1] {
        case .null: table = nil
        case .integer(let number):
            guard let number = UInt32(exactly: number) else { throw Self.malformed }
            table = TableID(number)
        default: throw Self.malformed
        }
    }

    private static var malformed: MeridianError {
        MeridianError(.corruption, "a row of system.protection is malformed")
    }
}
