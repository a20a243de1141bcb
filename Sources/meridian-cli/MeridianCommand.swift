import ArgumentParser

/// The command line: what Meridian can show and measure without a server. Each subcommand has a folder of its own.
@main
struct MeridianCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meridian",
        abstract: "A geo-replicated, strongly consistent store, embedded as a library.",
        subcommands: [DemoCommand.self])
}

/// How a subcommand prints its results on standard output. Progress and errors always go to standard error.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Tables for people.
    case text
    /// One object for machines, after DESIGN §13.
    case json
}
