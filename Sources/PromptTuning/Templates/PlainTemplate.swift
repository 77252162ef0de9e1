/// The example by itself.
public struct PlainTemplate: Template {
  public init() {}

  public func demonstrations(for example: Example, round: Int) -> [Example] { [] }
}
