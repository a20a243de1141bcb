import Logging

/// Hands every line that is logged, with its metadata, to the matrix.
struct LeakLogHandler: LogHandler {
    let matrix: LeakMatrix
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    init(_ matrix: LeakMatrix) { self.matrix = matrix }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let own = metadata.merging(event.metadata ?? [:]) { $1 }
        matrix.look(at: "\(event.level) \(event.message) \(own)", .logLines, "a log line")
    }
}
