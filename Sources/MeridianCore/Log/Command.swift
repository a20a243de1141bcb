/// One row's change: a value, or none to delete the row.
package struct Mutation: Hashable, Sendable {
    package var key: Key
    /// The encoded row (`RowCoding`); `nil` deletes.
    package var value: [UInt8]?

    package init(key: Key, value: [UInt8]?) {
        self.key = key
        self.value = value
    }

    package var byteCount: Int { key.bytes.count + (value?.count ?? 0) + 8 }
}

/// What one commit does to one range: all of its mutations become visible at `timestamp`, or none of them.
package struct Command: Hashable, Sendable {
    /// The client's name for the commit; asking again with it returns the first outcome.
    package var request: RequestID
    /// The commit timestamp, above every timestamp assigned or served to a reader on these keys before.
    package var timestamp: Timestamp
    /// The leaseholder's promise that no later command of this range has a timestamp at or below this one.
    package var closed: Timestamp
    package var mutations: [Mutation]
    /// What the command does to a transaction of several ranges; `nil` for a commit in this range alone.
    package var step: CommitStep?

    package init(
        request: RequestID, timestamp: Timestamp, closed: Timestamp, mutations: [Mutation],
        step: CommitStep? = nil
    ) {
        self.request = request
        self.timestamp = timestamp
        self.closed = closed
        self.mutations = mutations
        self.step = step
    }

    /// What it writes as versions: all of it, but of an erasure only the mark.
    package var keptMutations: ArraySlice<Mutation> { step?.kind == .erase ? mutations.prefix(1) : mutations[...] }

    /// The keys of which all versions go.
    package var erasedKeys: [Key] { step?.kind == .erase ? mutations.dropFirst().map(\.key) : [] }

    package var byteCount: Int { mutations.reduce(32 + (step?.byteCount ?? 0)) { $0 + $1.byteCount } }
}
