// Numbers what the visitor starts and stops, in the order of doing so: what they come from may reach the server in another.
let number = 1; // opening the page is the first

export const begin = () => ++number;

export const newest = () => number;
