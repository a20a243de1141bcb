import MeridianCore

/// What a range's row keeps for the range's upkeep: the threshold of collection (64 bits), or nothing at all, which is
/// zero.
enum UpkeepCoding {
    static func encode(_ state: AppliedState, to writer: inout ByteWriter) {
        guard state.threshold != .zero else { return }
        writer.put(state.threshold.rawValue)
    }

    /// Reads all that is left.
    static func decode(_ reader: inout ByteReader, into state: inout AppliedState) throws(ByteReader.Malformed) {
        guard reader.remaining > 0 else { return }
        state.threshold = Timestamp(rawValue: try reader.int64())
        try reader.expectEnd()
    }
}
