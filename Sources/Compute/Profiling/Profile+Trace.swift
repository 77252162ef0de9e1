extension Profile {
  /// The profile in the trace event format that chrome://tracing and Perfetto open, in pieces of JSON text.
  ///
  /// Process 1 is the host with its phases, process 2 the device with its commands, one span each, in microseconds.
  /// Beside the events lie the totals by operation and how many spans were left out.
  ///
  /// - Parameters:
  ///   - device: its name.
  ///   - write: receives the pieces in order.
  public func writeTrace(device: String, to write: (String) throws -> Void) rethrows {
    try write("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")
    var events = [
      Self.nameEvent("process_name", process: 1, "host"), Self.nameEvent("thread_name", process: 1, "phases"),
      Self.nameEvent("process_name", process: 2, device), Self.nameEvent("thread_name", process: 2, "queue"),
    ]
    events += phases.map { Self.span($0.name, "phase", process: 1, $0.start, $0.end, operation: nil) }
    try write(events.joined(separator: ",\n"))
    for first in stride(from: 0, to: commands.count, by: 4096) {
      let part = commands[first..<min(commands.count, first + 4096)]
      try write(
        part.map { ",\n" + Self.span($0.name, "command", process: 2, $0.start, $0.end, operation: $0.operation) }
          .joined())
    }
    let operations = totals.sorted { $0.key < $1.key }.map { name, total in
      "\(Self.quoted(name)):{\"calls\":\(total.calls),\"commands\":\(total.commands),\"nanoseconds\":"
        + "\(total.nanoseconds),\"flops\":\(total.work.flops),\"bytes\":\(total.work.bytes)}"
    }
    try write(
      "\n],\"otherData\":{\"spansLeftOut\":\(leftOut),\"operations\":{" + operations.joined(separator: ",\n") + "}}}\n")
  }

  private static func nameEvent(_ kind: String, process: Int, _ name: String) -> String {
    "{\"ph\":\"M\",\"pid\":\(process),\"tid\":1,\"name\":\"\(kind)\",\"args\":{\"name\":\(quoted(name))}}"
  }

  private static func span(
    _ name: String, _ category: String, process: Int, _ start: Time, _ end: Time, operation: String?
  ) -> String {
    let arguments = operation.map { ",\"args\":{\"operation\":\(quoted($0))}" } ?? ""
    return "{\"ph\":\"X\",\"pid\":\(process),\"tid\":1,\"cat\":\"\(category)\",\"name\":\(quoted(name)),"
      + "\"ts\":\(microseconds(start)),\"dur\":\(microseconds(end - start))\(arguments)}"
  }

  /// Exact, so that neighbours do not overlap by a rounding.
  private static func microseconds(_ time: Time) -> String {
    let (whole, rest) = time.magnitude.quotientAndRemainder(dividingBy: 1000)
    let digits = String(rest)
    return "\(time < 0 ? "-" : "")\(whole)." + String(repeating: "0", count: 3 - digits.count) + digits
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\" + String(scalar)
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
