import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianTransactions

/// What a transaction has read and written so far.
///
/// What it has read is one list for each range, and nothing is ever taken from it: the closure may have gone by it,
/// whatever is undone. What it has written lies in *layers*: the closure's own, and one for each savepoint that is
/// open, on top of the layer in which the savepoint was begun. A layer sees its own writes and those of the layers
/// below it, never those of a sibling. When its savepoint ends well it goes into the layer below, as a whole; when the
/// savepoint fails, it is forgotten as a whole. So savepoints of child tasks may begin and end in any order.
///
/// **Siblings.** Savepoints that end well are as if they had run one after the other, in the order of their ends
/// (optimistic nested transactions): each notes which write of the layers below it has seen of a key or a span, and is
/// refused at its end if that has changed (`savepointConflict`).
struct WriteBuffer: Sendable {
    /// What was read of one range.
    struct Share: Sendable {
        let range: RangeDescriptor
        let tableName: String
        /// What must still be so at the commit.
        fileprivate(set) var reads: [Precondition] = []
    }

    /// Names the closure or a savepoint.
    struct Scope: Hashable, Sendable {
        fileprivate let number: UInt64
        static let closure = Scope(number: 0)
    }

    /// A write that is to be buffered.
    struct Draft {
        var key: Key
        /// `nil` deletes.
        var value: [UInt8]?
        var range: RangeDescriptor
        /// What the stored row must be like. It is void if the write is undone.
        var condition: Precondition?
    }

    /// A write that is buffered.
    struct Write: Sendable {
        var value: [UInt8]?
        fileprivate var range: RangeID
        /// Writes are numbered in the order in which they come into their layer.
        fileprivate var number: UInt64
    }

    private struct Layer: Sendable {
        /// The layer below; `nil` for the closure's.
        let below: Scope?
        var writes: [Key: Write] = [:]
        /// The keys in the order of their first write.
        var order: [Key] = []
        /// What the writes need.
        var conditions: [(condition: Precondition, range: RangeID)] = []
        var byteCount = 0
        /// The number of the write that was first seen below of a key; 0 if there was none.
        var seen: [Key: UInt64] = [:]
        /// Spans of which all writes below up to a number were seen.
        var seenSpans: [(span: KeySpan, number: UInt64)] = []
    }

    /// The ranges that the transaction has touched, in the order of its first touch.
    private(set) var shares: [Share] = []
    /// The timestamp of its reads.
    var timestamp: Timestamp?
    var isEnded = false
    private var layers: [Scope: Layer] = [.closure: Layer(below: nil)]
    private var lastNumber: UInt64 = 0
    private var savepointCount: UInt64 = 0
    private var byteCount = 0

    /// More bytes than this in one commit would hold its ranges up.
    static let maximumByteCount = 16 << 20
    /// Each range adds messages to the commit, and may be the one that is unavailable.
    static let maximumRangeCount = 256

    /// Notes that the transaction touches a range.
    /// - Throws: `.transactionEnded` when it is over, `.transactionTooLarge`.
    mutating func touch(_ range: RangeDescriptor, table: String) throws(MeridianError) {
        guard !isEnded else {
            throw MeridianError(.transactionEnded, "the transaction has ended; use it inside of its closure only")
        }
        guard !shares.contains(where: { $0.range.id == range.id }) else { return }
        guard shares.count < Self.maximumRangeCount else {
            throw MeridianError(
                .transactionTooLarge,
                "table \(table): a transaction is limited to \(Self.maximumRangeCount) ranges; split it into several")
        }
        shares.append(Share(range: range, tableName: table))
    }

    /// Notes something that was read and must still be so at the commit, whatever becomes of the savepoint.
    mutating func note(
        _ read: Precondition, in range: RangeDescriptor, table: String, from scope: Scope
    ) throws(MeridianError) {
        try check(scope)
        try touch(range, table: table)
        if Planted.isOn(.savepointForgetsReads), scope != .closure {
            layers[scope]?.conditions.append((read, range.id))
            return
        }
        for position in shares.indices where shares[position].range.id == range.id {
            shares[position].reads.append(read)
        }
    }

    // MARK: Writes

    /// The number of the latest write of any scope.
    var mark: UInt64 { lastNumber }

    /// What the transaction has written of a key, as a scope sees it, which is noted.
    mutating func look(at key: Key, from scope: Scope) throws(MeridianError) -> Write? {
        try check(scope)
        let found = write(of: key, from: scope)
        var layer = scope
        while let below = layers[layer]?.below, layers[layer]?.writes[key] == nil {
            if layers[layer]?.seen[key] == nil { layers[layer]?.seen[key] = found?.number ?? 0 }
            layer = below
        }
        return found
    }

    /// What the transaction has written of a span, as a scope sees it, which is noted.
    mutating func look(in span: KeySpan, from scope: Scope) throws(MeridianError) -> [Key: Write] {
        try check(scope)
        var found: [Key: Write] = [:]
        for layer in path(scope) {
            if layers[layer]?.below != nil { layers[layer]?.seenSpans.append((span, lastNumber)) }
            for (key, write) in layers[layer]?.writes ?? [:] where span.contains(key) && found[key] == nil {
                found[key] = write
            }
        }
        return found
    }

    /// Whether a scope sees a write of this key that was made after a mark.
    func isWritten(_ key: Key, since mark: UInt64, from scope: Scope) -> Bool {
        write(of: key, from: scope).map { $0.number > mark } ?? false
    }

    /// Buffers writes, all or none of them.
    mutating func write(_ drafts: [Draft], table: String, from scope: Scope) throws(MeridianError) {
        try check(scope)
        for draft in drafts { try touch(draft.range, table: table) }
        let added = drafts.reduce(0) { $0 + $1.key.bytes.count + ($1.value?.count ?? 0) }
        guard byteCount + added <= Self.maximumByteCount else {
            throw MeridianError(
                .transactionTooLarge,
                "table \(table): one commit is limited to \(Self.maximumByteCount) bytes; split it into several")
        }
        byteCount += added
        layers[scope]?.byteCount += added
        for draft in drafts {
            put(draft.value, for: draft.key, in: draft.range.id, layer: scope)
            if let condition = draft.condition { layers[scope]?.conditions.append((condition, draft.range.id)) }
        }
    }

    private mutating func put(_ value: [UInt8]?, for key: Key, in range: RangeID, layer: Scope) {
        lastNumber += 1
        let write = Write(value: value, range: range, number: lastNumber)
        if layers[layer]?.writes.updateValue(write, forKey: key) == nil { layers[layer]?.order.append(key) }
    }

    // MARK: Savepoints

    mutating func beginSavepoint(from scope: Scope) throws(MeridianError) -> Scope {
        try check(scope)
        savepointCount += 1
        let new = Scope(number: savepointCount)
        layers[new] = Layer(below: scope)
        return new
    }

    /// Forgets what a savepoint has written. What it has read stays.
    mutating func dropSavepoint(_ scope: Scope) {
        if Planted.isOn(.savepointKept), (try? mergeSavepoint(scope)) != nil { return }
        if let layer = layers.removeValue(forKey: scope) { byteCount -= layer.byteCount }
    }

    /// Takes what a savepoint has written into the layer below.
    /// - Throws: `.savepointConflict` when another part has written meanwhile what it has read, in which case it is
    ///   forgotten; `.transactionEnded`.
    mutating func mergeSavepoint(_ scope: Scope) throws(MeridianError) {
        try check(scope)
        guard let layer = layers.removeValue(forKey: scope), let below = layer.below else {
            preconditionFailure("\(scope) is no savepoint")
        }
        guard isCurrent(layer, over: below) else {
            byteCount -= layer.byteCount
            throw MeridianError(
                .savepointConflict,
                "another part of the transaction has written what the savepoint had read; run the savepoint again, or "
                    + "let one end before the other begins", retry: .immediately)
        }
        for key in layer.order {
            if let write = layer.writes[key] { put(write.value, for: key, in: write.range, layer: below) }
        }
        layers[below]?.conditions += layer.conditions
        layers[below]?.byteCount += layer.byteCount
    }

    /// Whether the layers below are still as a layer has seen them.
    private func isCurrent(_ layer: Layer, over below: Scope) -> Bool {
        layer.seen.allSatisfy { key, number in write(of: key, from: below)?.number ?? 0 == number }
            && layer.seenSpans.allSatisfy { span, number in
                path(below).allSatisfy { scope in
                    layers[scope]?.writes.allSatisfy { !span.contains($0.key) || $0.value.number <= number } ?? true
                }
            }
    }

    /// A scope and those below it.
    private func path(_ scope: Scope) -> [Scope] {
        var path = [scope]
        while let below = layers[path[path.count - 1]]?.below { path.append(below) }
        return path
    }

    private func write(of key: Key, from scope: Scope) -> Write? {
        var layer = layers[scope]
        while let current = layer {
            if let write = current.writes[key] { return write }
            layer = current.below.flatMap { layers[$0] }
        }
        return nil
    }

    /// - Throws: `.transactionEnded` when the transaction, the savepoint or one around it is over.
    private func check(_ scope: Scope) throws(MeridianError) {
        guard !isEnded else {
            throw MeridianError(.transactionEnded, "the transaction has ended; use it inside of its closure only")
        }
        guard path(scope).allSatisfy({ layers[$0] != nil }) else {
            throw MeridianError(
                .transactionEnded,
                "the savepoint in which this task was begun has ended; wait for the task inside of the savepoint")
        }
    }

    // MARK: The commit

    /// The range of the closure's first write.
    var firstWritten: Share? {
        guard let closure = layers[.closure], let range = closure.order.first.flatMap({ closure.writes[$0]?.range })
        else { return nil }
        return shares.first { $0.range.id == range }
    }

    /// What each range has to check and change, without those that were touched in vain.
    var parts: [TransactionRequest.Part] {
        guard let closure = layers[.closure] else { return [] }
        return shares.compactMap { share in
            let id = share.range.id
            let mutations = closure.order.compactMap { key -> Mutation? in
                closure.writes[key].flatMap { $0.range == id ? Mutation(key: key, value: $0.value) : nil }
            }
            // What was read comes first: where that has changed, the rest need not be true of any state.
            let conditions = share.reads + closure.conditions.lazy.filter { $0.range == id }.map(\.condition)
            if mutations.isEmpty, conditions.isEmpty { return nil }
            return TransactionRequest.Part(range: id, preconditions: conditions, mutations: mutations)
        }
    }

    /// What each range would have to keep for an attempt that touches the same.
    var footprint: [(range: RangeID, claim: LockTable.Claim)] {
        let written = layers[.closure]?.writes ?? [:]
        return parts.map { part in
            var claim = LockTable.Claim(exclusive: part.mutations.map(\.key))
            for precondition in part.preconditions {
                switch precondition {
                case .absent(let key), .present(let key), .unchanged(let key, _):
                    if written[key] == nil { claim.shared.append(key) }
                case .unchangedSpan(let span, _): claim.spans.append(span)
                }
            }
            return (part.range, claim)
        }
    }
}
