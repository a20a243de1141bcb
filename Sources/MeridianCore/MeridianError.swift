/// What went wrong, which thing it concerns, what to do, and whether asking again can help.
///
/// The message names tables, columns, regions, nodes and files, never the contents of a row.
public struct MeridianError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure this is. A struct, so that a new code breaks no caller's `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }

        // The call was wrong.
        public static let unknownRegion = Code("unknownRegion")
        public static let invalidTopology = Code("invalidTopology")
        public static let invalidLatencyMatrix = Code("invalidLatencyMatrix")
        public static let invalidConfiguration = Code("invalidConfiguration")
        public static let invalidTable = Code("invalidTable")
        public static let tableMismatch = Code("tableMismatch")
        public static let typeMismatch = Code("typeMismatch")
        public static let keyTooLarge = Code("keyTooLarge")
        public static let rowTooLarge = Code("rowTooLarge")
        public static let duplicateKey = Code("duplicateKey")
        public static let rowNotFound = Code("rowNotFound")
        public static let transactionTooLarge = Code("transactionTooLarge")
        public static let readOnlyTransaction = Code("readOnlyTransaction")
        public static let transactionEnded = Code("transactionEnded")
        public static let jurisdictionViolation = Code("jurisdictionViolation")
        public static let placementImpossible = Code("placementImpossible")
        public static let readInFuture = Code("readInFuture")
        public static let invalidToken = Code("invalidToken")
        public static let foreignToken = Code("foreignToken")
        /// A resolver that does not fit its column, or a change that it does not allow.
        public static let resolverMismatch = Code("resolverMismatch")
        /// The application's merge function threw, or gave two answers to one question.
        public static let mergeFailed = Code("mergeFailed")

        // The cluster could not do it (now).
        public static let unavailable = Code("unavailable")
        public static let deadlineExceeded = Code("deadlineExceeded")
        /// The commit may or may not have happened; asking again with the same request id tells.
        public static let commitStatusUnknown = Code("commitStatusUnknown")
        public static let conflict = Code("conflict")
        /// Two savepoints of a transaction ran at the same time, and one has read what the other has written.
        public static let savepointConflict = Code("savepointConflict")
        public static let overloaded = Code("overloaded")
        public static let readTooOld = Code("readTooOld")
        public static let diskFull = Code("diskFull")
        public static let shutDown = Code("shutDown")

        // The files are not what they should be.
        public static let wrongCluster = Code("wrongCluster")
        public static let newerFormat = Code("newerFormat")
        public static let olderFormat = Code("olderFormat")
        public static let notADatabase = Code("notADatabase")
        public static let corruption = Code("corruption")
        public static let directoryInUse = Code("directoryInUse")
        public static let storageFailed = Code("storageFailed")
    }

    /// Whether the same call can succeed later.
    public enum Retry: Hashable, Sendable {
        case never
        case immediately
        case after(Duration)
    }

    /// Whether the write that failed can have taken effect.
    public enum CommitOutcome: Hashable, Sendable {
        /// It did not happen, and it will not.
        case notCommitted
        /// Nobody can tell yet; the request id, asked again, can.
        case unknown
    }

    public var code: Code
    public var message: String
    public var retry: Retry
    public var commitOutcome: CommitOutcome

    public init(_ code: Code, _ message: String, retry: Retry = .never, commitOutcome: CommitOutcome = .notCommitted) {
        self.code = code
        self.message = message
        self.retry = retry
        self.commitOutcome = commitOutcome
    }

    public var description: String { "\(code): \(message)" }
}
