import MeridianCore

/// A plan: where the nodes stand, how good the clocks are, and what each table is asked and wished for. A text of one
/// statement a line, written by hand; docs/PLANNER.md describes every statement.
///
/// ```
/// region us-east-1  zones a b c
/// region eu-west-1  jurisdiction EU
/// matrix preset aws
/// clock 500us
///
/// table orders
///   locality by-row region
///   writes us-east-1 200/s
///   writes eu-west-1 50/s
///   rpo 0
/// ```
///
/// It promises: a text that is accepted describes a topology that the planner can place tables on; one that is refused
/// is told with line, column, and for a misspelt name the one that is nearest. It reads no file: whoever names a matrix
/// file hands its text in.
package struct PlanFile: Hashable, Sendable {
    package var topology: Topology
    package var epsilonNanoseconds: Int64
    package var electionTimeoutNanoseconds: Int64
    package var failover: Predictor.FailoverPolicy
    /// In the order of the text.
    package var tables: [PlannedTable]
    /// Where the distances come from, in words.
    package var matrixSource: String

    package static let defaultEpsilonNanoseconds: Int64 = 500_000

    /// - Parameters:
    ///   - file: what errors call the text.
    ///   - matrixText: the text of a matrix file, by the name that the plan gives it.
    /// - Throws: `PlanFileError`, the first thing that is wrong.
    package init(
        _ text: String, file: String, matrixText: (String) throws(MeridianError) -> String
    ) throws(PlanFileError) {
        var parser = PlanParser(file: file)
        try parser.read(PlanWord.lines(of: text, file: file), matrixText: matrixText)
        self = try parser.finish()
    }

    package init(
        topology: Topology, epsilonNanoseconds: Int64 = PlanFile.defaultEpsilonNanoseconds,
        electionTimeoutNanoseconds: Int64 = ClusterTiming().electionTimeoutNanoseconds,
        failover: Predictor.FailoverPolicy = .manual, tables: [PlannedTable], matrixSource: String
    ) {
        self.topology = topology
        self.epsilonNanoseconds = epsilonNanoseconds
        self.electionTimeoutNanoseconds = electionTimeoutNanoseconds
        self.failover = failover
        self.tables = tables
        self.matrixSource = matrixSource
    }

    package var predictor: Predictor {
        Predictor(
            topology: topology, epsilonNanoseconds: epsilonNanoseconds,
            timing: ClusterTiming(electionTimeoutNanoseconds: electionTimeoutNanoseconds), failover: failover)
    }
}
