import MeridianCore

/// What a copy makes of a record that another one sends: bytes in, bytes out, and `Record.merge` between.
package enum RecordJoin {
    package struct Outcome: Sendable {
        /// What the copy stores from now on; `nil` when it knows all of it already.
        package var stored: [UInt8]?
        package var conflicts: [Conflict] = []
    }

    /// - Parameters:
    ///   - own: what the copy has stored.
    ///   - erasure: when the row was last erased, as far as the copy knows: its mark counts where it has no record.
    /// - Throws: `.corruption`, `.newerFormat`, `.olderFormat`.
    package static func join(
        _ own: [UInt8]?, _ incoming: [UInt8], erasedAt erasure: Timestamp = .zero, _ shape: RecordShape, name: String
    ) throws(MeridianError) -> Outcome {
        if own == incoming { return Outcome() }
        // It is checked before it is kept.
        let arrived = try RecordCoding.decode(incoming, shape, name: name)
        if arrived.erasure < erasure, !Planted.isOn(.erasureForgotten) { return Outcome() }
        guard let own else {
            // All copies have had such a deletion, and this one has forgotten it.
            return Outcome(stored: arrived.life.settled == .removable ? nil : incoming)
        }
        var record = try RecordCoding.decode(own, shape, name: name)
        var outcome = Outcome()
        guard record.merge(arrived, shape, onConflict: { outcome.conflicts.append($0) }) else { return outcome }
        // Most of what arrives is simply newer.
        outcome.stored = record == arrived ? incoming : try RecordCoding.encode(record, shape, name: name)
        return outcome
    }
}
