import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianTransactions

/// What a transaction has read and written so far.
struct WriteBuffer: Sendable {
    /// One range's share.
    struct Part: Sendable {
        let range: RangeDescriptor
        let tableName: String
        /// What must still be so at the commit.
        var preconditions: [Precondition] = []
    }

    /// The ranges that the transaction has touched, in the order of its first touch.
    private(set) var parts: [Part] = []
    /// The timestamp of its reads.
    var timestamp: Timestamp?
    /// What is written, by key; a `nil` value deletes.
    private(set) var values: [Key: [UInt8]?] = [:]
    /// The keys in the order of their first write, and the range of each.
    private(set) var order: [(key: Key, range: RangeID)] = []
    var isEnded = false

    /// More bytes than this in one commit would hold its ranges up.
    static let maximumByteCount = 16 << 20
    /// Each range adds messages to the commit, and may be the one that is unavailable.
    static let maximumRangeCount = 256
    private var byteCount = 0

    var isEmpty: Bool { order.isEmpty }

    /// Notes that the transaction touches a range.
    /// - Throws: `.transactionEnded` when it is over, `.transactionTooLarge`.
    mutating func touch(_ range: RangeDescriptor, table: String) throws(MeridianError) {
        guard !isEnded else {
            throw MeridianError(.transactionEnded, "the transaction has ended; use it inside of its closure only")
        }
        guard !parts.contains(where: { $0.range.id == range.id }) else { return }
        guard parts.count < Self.maximumRangeCount else {
            throw MeridianError(
                .transactionTooLarge,
                "table \(table): a transaction is limited to \(Self.maximumRangeCount) ranges; split it into several")
        }
        parts.append(Part(range: range, tableName: table))
    }

    /// Adds what must be so of a range that was touched.
    mutating func require(_ precondition: Precondition, in range: RangeID) {
        guard let position = parts.firstIndex(where: { $0.range.id == range }) else {
            preconditionFailure("\(range) was not touched by the transaction")
        }
        parts[position].preconditions.append(precondition)
    }

    mutating func set(
        _ key: Key, _ value: [UInt8]?, in range: RangeDescriptor, table: String
    ) throws(MeridianError) {
        byteCount += key.bytes.count + (value?.count ?? 0)
        guard byteCount <= Self.maximumByteCount else {
            throw MeridianError(
                .transactionTooLarge,
                "table \(table): one commit is limited to \(Self.maximumByteCount) bytes; split it into several")
        }
        if values.updateValue(value, forKey: key) == nil { order.append((key, range.id)) }
    }

    /// What is written of a span; a `nil` value deletes.
    func writes(in span: KeySpan) -> [(key: Key, value: [UInt8]?)] {
        order.filter { span.contains($0.key) }.map { ($0.key, values[$0.key] ?? nil) }
    }

    /// The mutations of one range.
    func mutations(in range: RangeID) -> [Mutation] {
        order.lazy.filter { $0.range == range }.map { Mutation(key: $0.key, value: values[$0.key] ?? nil) }
    }

    /// What each range would have to keep for an attempt that touches the same.
    var footprint: [(range: RangeID, claim: LockTable.Claim)] {
        parts.map { part in
            var claim = LockTable.Claim(exclusive: mutations(in: part.range.id).map(\.key))
            for precondition in part.preconditions {
                switch precondition {
                case .absent(let key), .present(let key), .unchanged(let key, _):
                    if values[key] == nil { claim.shared.append(key) }
                case .unchangedSpan(let span, _): claim.spans.append(span)
                }
            }
            return (part.range.id, claim)
        }
    }

    /// Undoes what was written since an earlier state. What was read since stays: the closure may have gone by it.
    mutating func rollBack(to mark: WriteBuffer) {
        let current = self
        self = mark
        timestamp = current.timestamp
        isEnded = current.isEnded
        for part in current.parts {
            let before = mark.parts.first { $0.range.id == part.range.id }?.preconditions.count ?? 0
            let reads = part.preconditions.dropFirst(before).filter(\.isRead)
            guard !reads.isEmpty else { continue }
            if !parts.contains(where: { $0.range.id == part.range.id }) {
                parts.append(Part(range: part.range, tableName: part.tableName))
            }
            for read in reads { require(read, in: part.range.id) }
        }
    }
}

extension Precondition {
    /// Whether it stands for a read. The others come with writes, and are void without them.
    fileprivate var isRead: Bool {
        switch self {
        case .unchanged, .unchangedSpan: true
        case .absent, .present: false
        }
    }
}
