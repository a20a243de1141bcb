import MeridianCore

/// Conflicts as stored rows: under the row's key and the losing write, so that each is recorded once however often it
/// is met.
package enum ConflictCoding {
    /// What follows the row's own key: the field, or -1 for the row, and the losing write.
    package static func keySuffix(_ conflict: Conflict) -> [Value] {
        [
            .integer(conflict.field.map(Int64.init) ?? -1), .integer(Int64(conflict.loser.dot.origin.rawValue)),
            .integer(Int64(bitPattern: conflict.loser.dot.counter)),
        ]
    }

    package static let keySuffixTypes: [ColumnType] = [.integer, .integer, .integer]
    private static let format: Int64 = 1

    package static func encode(_ conflict: Conflict, name: String) throws(MeridianError) -> [UInt8] {
        var values: [Value] = [
            .integer(format), .integer(Int64(conflict.kind.rawValue)),
            .integer(conflict.field.map(Int64.init) ?? -1),
        ]
        for stamp in [conflict.winner, conflict.loser] {
            values += [.integer(stamp.time.rawValue), .integer(Int64(stamp.dot.origin.rawValue))]
            values.append(.integer(Int64(bitPattern: stamp.dot.counter)))
        }
        return try RowCoding.encode(values + conflict.content, name: name)
    }

    package static func decode(_ bytes: [UInt8], name: String) throws(MeridianError) -> Conflict {
        let values = try RowCoding.decode(bytes, name: name)
        let damaged = MeridianError(.corruption, "a conflict record of table \(name) is damaged")
        guard values.count >= 9 else { throw damaged }
        let numbers = try values.prefix(9).map { value throws(MeridianError) -> Int64 in
            guard case .integer(let number) = value else { throw damaged }
            return number
        }
        guard numbers[0] <= format else {
            throw MeridianError(.newerFormat, "a conflict record of table \(name) has format \(numbers[0])")
        }
        func stamp(_ position: Int) throws(MeridianError) -> WriteStamp {
            guard let origin = UInt32(exactly: numbers[position + 1]) else { throw damaged }
            return WriteStamp(
                time: Timestamp(rawValue: numbers[position]),
                dot: Dot(Origin(origin), UInt64(bitPattern: numbers[position + 2])))
        }
        guard let byte = UInt8(exactly: numbers[1]), let kind = Conflict.Kind(rawValue: byte) else { throw damaged }
        return Conflict(
            kind: kind, field: numbers[2] < 0 ? nil : Int(numbers[2]), winner: try stamp(3), loser: try stamp(6),
            content: Array(values.dropFirst(9)))
    }
}
