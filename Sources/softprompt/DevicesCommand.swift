import ArgumentParser
import Compute
import Foundation
import Training

/// `softprompt devices`.
struct DevicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "List what this machine can compute on.",
    discussion: "The id in the first column is what --device takes; so is any part of a device's name.")

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  private struct Report: Encodable {
    struct Device: Encodable {
      var id: String
      var name: String
      var kind: String
      var memory_bytes: Int
      var compute_units: Int
      var details: [String: String]
    }

    var devices: [Device]
  }

  func run() throws {
    let devices = try DeviceSelection.all()
    if json {
      try Output.json(
        Report(
          devices: devices.map { device in
            Report.Device(
              id: device.id, name: device.name, kind: device.kind.rawValue, memory_bytes: device.memoryBytes,
              compute_units: device.computeUnits,
              details: Dictionary(uniqueKeysWithValues: device.details.map { ($0.name, $0.value) }))
          }))
      return
    }
    Output.table(
      ["id", "kind", "units", "memory", "name"],
      devices.map {
        [$0.id, $0.kind.rawValue, String($0.computeUnits), Readable.bytes($0.memoryBytes), $0.name]
      })
    for device in devices {
      print("\n\(device.id)")
      for detail in device.details { print("  \(detail.name): \(detail.value)") }
    }
  }
}
