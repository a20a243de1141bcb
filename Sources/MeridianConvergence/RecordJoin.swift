import MeridianCore

/// What a copy makes of a record that another one sends: bytes in, bytes out.
package enum RecordJoin {
    package struct Outcome: Sendable {
        /// What the copy stores from now on; `nil` when it knows all of it already.
        package var stored: [UInt8]?
        package var conflicts: [Conflict] = []
    }

    /// - Parameter own: what the copy has stored.
    /// - Throws: `.corruption`, `.newerFormat`.
    package static func join(
        _ own: [UInt8]?, _ incoming: [UInt8], _ shape: RecordShape, name: String
    ) throws(MeridianError) -> Outcome {
        guard let own else {
            // It is checked before it is kept.
            _ = try RecordCoding.decode(incoming, shape, name: name)
            return Outcome(stored: incoming)
        }
        if own == incoming { return Outcome() }
        let arrived = try RecordCoding.decode(incoming, shape, name: name)
        var record = try RecordCoding.decode(own, shape, name: name)
        if arrived.seen.covers(record.seen) { return Outcome(stored: incoming) }
        var outcome = Outcome()
        guard record.merge(arrived, shape, onConflict: { outcome.conflicts.append($0) }) else { return outcome }
        outcome.stored = try RecordCoding.encode(record, shape, name: name)
        return outcome
    }
}
