import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What a transaction has read and written so far: one range's worth.
struct WriteBuffer: Sendable {
    /// The range that the transaction is bound to, by its first operation.
    private(set) var range: RangeDescriptor?
    private(set) var tableName: String?
    /// The timestamp of its reads.
    var timestamp: Timestamp?
    var preconditions: [Precondition] = []
    /// A `nil` value deletes.
    private(set) var values: [Key: [UInt8]?] = [:]
    /// The keys in the order of their first write.
    private(set) var order: [Key] = []
    /// A row that changes its home region; it is then all that the transaction does.
    var move: RowMove?
    var isEnded = false

    /// More rows than this in one commit would hold its range up.
    static let maximumByteCount = 16 << 20
    private var byteCount = 0

    var isEmpty: Bool { order.isEmpty && move == nil }
    var mutations: [Mutation] { order.map { Mutation(key: $0, value: values[$0] ?? nil) } }

    /// Binds the transaction to a range.
    /// - Throws: `.multipleRanges` when it is bound to another one, `.transactionEnded` when it is over.
    mutating func bind(_ range: RangeDescriptor, table: String) throws(MeridianError) {
        guard !isEnded else {
            throw MeridianError(.transactionEnded, "the transaction has ended; use it inside of its closure only")
        }
        guard move == nil else { throw Self.moveAlone(table) }
        guard let bound = self.range else {
            self.range = range
            tableName = table
            return
        }
        guard bound.id == range.id else {
            throw MeridianError(
                .multipleRanges,
                "the transaction is bound to table \(tableName ?? "?") in \(bound.home) and cannot also touch table "
                    + "\(table) in \(range.home): commits are atomic within one table and home region. Use one "
                    + "closure for each")
        }
    }

    static func moveAlone(_ table: String) -> MeridianError {
        MeridianError(
            .multipleRanges,
            "table \(table): a row that changes its home region must be the only one in its closure")
    }

    mutating func set(_ key: Key, _ value: [UInt8]?, table: String) throws(MeridianError) {
        byteCount += key.bytes.count + (value?.count ?? 0)
        guard byteCount <= Self.maximumByteCount else {
            throw MeridianError(
                .rowTooLarge,
                "table \(table): one commit is limited to \(Self.maximumByteCount) bytes; split it into several")
        }
        if values.updateValue(value, forKey: key) == nil { order.append(key) }
    }

    /// Undoes what was written since an earlier state. What was read since stays: the closure may have gone by it.
    mutating func rollBack(to mark: WriteBuffer) {
        let reads = preconditions.dropFirst(mark.preconditions.count).filter(\.isRead)
        let current = self
        self = mark
        timestamp = current.timestamp
        isEnded = current.isEnded
        preconditions += reads
        // Rows of the range were read, so the transaction remains bound to it.
        if !reads.isEmpty { (range, tableName) = (current.range, current.tableName) }
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
