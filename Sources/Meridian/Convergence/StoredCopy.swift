import MeridianConvergence
import MeridianCore
import MeridianReplica

/// What one copy of an active-active table has stored, byte for byte, for whoever compares copies.
package struct StoredCopy: Sendable {
    package var region: Region
    /// Records by their keys, without what in a key is the copy's own.
    package var records: [[UInt8]: [UInt8]] = [:]
    /// The keys of those whose rows are deleted: copies let go of them one by one.
    package var deleted: Set<[UInt8]> = []

    /// Whether both have the same records, but for deletions that one of them has let go of already.
    package func isEqual(to other: StoredCopy) -> Bool {
        Set(records.keys).union(other.records.keys).allSatisfy { key in
            switch (records[key], other.records[key]) {
            case (let mine?, let theirs?): mine == theirs
            case (.some, nil): deleted.contains(key)
            case (nil, .some): other.deleted.contains(key)
            case (nil, nil): true
            }
        }
    }
}

extension Database {
    /// The copies of a table that are in use, as they are now.
    /// - Throws: `.unavailable`, `.deadlineExceeded` when one does not answer.
    package func storedCopies<Row>(of table: Table<Row>, deadline: Duration) async throws -> [StoredCopy] {
        let end = host.deadline(after: deadline)
        let resolved = try ResolvedTable(try await activeRecord(table, end: end), topology: host.topology)
        var copies: [StoredCopy] = []
        for (copy, range) in zip(resolved.record.copies, resolved.record.ranges) where copy.state == .active {
            let span = resolved.span(of: .primary, in: range)
            var stored = StoredCopy(region: copy.region)
            for row in try await rows(of: span, in: range.id, end: end) {
                guard let value = row.version.value else { continue }
                let key = Array(row.key.bytes.dropFirst(span.lower.bytes.count))
                stored.records[key] = value
                let flags = RecordCoding.flags(of: try RowCoding.decode(value, name: table.name))
                if flags?.contains(.isAlive) == false { stored.deleted.insert(key) }
            }
            copies.append(stored)
        }
        return copies
    }
}
