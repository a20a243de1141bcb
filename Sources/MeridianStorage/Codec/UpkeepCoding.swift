import MeridianCore

/// What a range's row keeps for the range's upkeep: the threshold of collection (64 bits), its standstills (count 32,
/// then from and until, 64 each), and what the versions in the file add up to: sum (64), count (64). Nothing at all is
/// a threshold of zero, no standstill and no digest; so it is in files of earlier formats.
enum UpkeepCoding {
    static func encode(_ state: AppliedState, _ digest: RangeDigest?, to writer: inout ByteWriter) {
        if state.threshold == .zero, state.standstills.isEmpty, digest == nil { return }
        writer.put(state.threshold.rawValue)
        writer.put(UInt32(state.standstills.count))
        for standstill in state.standstills {
            writer.put(standstill.from.rawValue)
            writer.put(standstill.until.rawValue)
        }
        guard let digest else { return }
        writer.put(digest.sum)
        writer.put(digest.count)
    }

    /// Reads all that is left.
    static func decode(
        _ reader: inout ByteReader, into state: inout AppliedState
    ) throws(ByteReader.Malformed) -> RangeDigest? {
        guard reader.remaining > 0 else { return nil }
        state.threshold = Timestamp(rawValue: try reader.int64())
        let count = Int(try reader.uint32())
        guard count * 16 <= reader.remaining else { throw ByteReader.Malformed() }
        for _ in 0..<count {
            let from = Timestamp(rawValue: try reader.int64())
            state.standstills.append(Standstill(from: from, until: Timestamp(rawValue: try reader.int64())))
        }
        guard reader.remaining > 0 else { return nil }
        let digest = RangeDigest(sum: try reader.uint64(), count: try reader.uint64())
        try reader.expectEnd()
        return digest
    }
}
