import ArgumentParser

/// The command line: what Meridian can show and measure without a server. Each subcommand has a folder of its own.
@main
struct MeridianCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meridian",
        abstract: "A geo-replicated, strongly consistent store, embedded as a library.",
        subcommands: [
            DemoCommand.self, PlanCommand.self, SimulateCommand.self, ExploreCommand.self, CheckCommand.self,
        ])
}
