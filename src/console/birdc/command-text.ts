/** What a command that needs not wait says, line by line without line ends; returned: its exit code. */
export type CommandText = Generator<string, number, void>;
